// How large the structs of fanwire.h were in their first version: what their oldest callers pass. Literals, since
// sizeof grows with each new field. A struct that gets one keeps its row here.
#pragma once

#include <cstddef>

#include "fanwire/fanwire.h"

namespace fanwire::capi {

template <class Struct>
inline constexpr std::size_t first_size = 0;

namespace detail {
inline constexpr std::size_t pointer = sizeof(void*);  // and of a size_t
}

template <>
inline constexpr std::size_t first_size<fanwire_status_info> = 8 + 2 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_name_info> = 3 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_stat_info> = 4 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_option_info> = 6 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_event> = 40 + 9 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_inbox_stats> = 40;
template <>
inline constexpr std::size_t first_size<fanwire_publish_args> = 8 + 6 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_subscribe_args> = 8 + 4 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_broker_calls> = 7 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_request_args> = 16 + 6 * detail::pointer;
template <>
inline constexpr std::size_t first_size<fanwire_health> = 312;
template <>
inline constexpr std::size_t first_size<fanwire_engine_stats> = 224;
template <>
inline constexpr std::size_t first_size<fanwire_latency> = 248;
template <>
inline constexpr std::size_t first_size<fanwire_envelope> = 56 + 8 * detail::pointer;

template <class Struct>
inline constexpr bool keeps_its_first_version = first_size<Struct> > 0 && first_size<Struct> <= sizeof(Struct);

static_assert(keeps_its_first_version<fanwire_status_info> && keeps_its_first_version<fanwire_name_info> &&
              keeps_its_first_version<fanwire_stat_info> && keeps_its_first_version<fanwire_option_info> &&
              keeps_its_first_version<fanwire_event> && keeps_its_first_version<fanwire_inbox_stats> &&
              keeps_its_first_version<fanwire_publish_args> && keeps_its_first_version<fanwire_subscribe_args> &&
              keeps_its_first_version<fanwire_request_args> && keeps_its_first_version<fanwire_broker_calls> &&
              keeps_its_first_version<fanwire_health> && keeps_its_first_version<fanwire_engine_stats> &&
              keeps_its_first_version<fanwire_latency> && keeps_its_first_version<fanwire_envelope>);

}  // namespace fanwire::capi
