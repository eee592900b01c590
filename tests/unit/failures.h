// Expecting a Failure.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>

#include "core/base/error.h"
#include "tests/unit/vectors.h"

namespace fanwire::test {

inline std::string name_of(core::Status status) {
    return core::find_status(static_cast<int>(status))->name;
}

// Runs what must fail and returns how it did.
inline core::Error failure_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const core::Failure& failure) {
        return failure.error();
    }
    ADD_FAILURE() << "it did not fail";
    return {};
}

inline void expect_failure(core::Status status, std::initializer_list<const char*> mentions,
                           const std::function<void()>& action) {
    core::Error error = failure_of(action);
    EXPECT_EQ(name_of(error.status), name_of(status)) << error.text;
    for (const char* mention : mentions)
        EXPECT_NE(error.text.find(mention), std::string::npos) << "no \"" << mention << "\" in: " << error.text;
}

// The same with what a case of the vectors wants.
inline void expect_failure(const Json& item, const std::function<void()>& action) {
    core::Error error = failure_of(action);
    EXPECT_EQ(name_of(error.status), item.at("status").get<std::string>()) << error.text;
    for (const std::string mention : item.value("mentions", Json::array()))
        EXPECT_NE(error.text.find(mention), std::string::npos) << "no \"" << mention << "\" in: " << error.text;
    for (const std::string secret : item.value("never", Json::array()))
        EXPECT_EQ(error.text.find(secret), std::string::npos) << "\"" << secret << "\" in: " << error.text;
}

}  // namespace fanwire::test
