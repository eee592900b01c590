// The raw binding: the functions of fanwire.h as lib/ needs them, and nothing clever. lib/ makes the API of it.
#include "asking.h"
#include "engine.h"
#include "envelope.h"
#include "inbox.h"
#include "json.h"
#include "log.h"
#include "options.h"
#include "publishing.h"
#include "subscription.h"
#include "tables.h"

namespace fanwire::node {
namespace {

// setup(onWake, makeError): before anything else
napi_value setup(const Call& call) {
    Environment::of(call.env())->set_callbacks(call[0], call[1]);
    return nullptr;
}

// wake(id): onWake(id) is called again, in a later turn of the event loop
napi_value wake(const Call& call) {
    Environment::of(call.env())->waker()->wake(call.number(0));
    return nullptr;
}

// keepAlive(yes): whether this environment's loop stays alive for us
napi_value keep_alive(const Call& call) {
    Environment::of(call.env())->keep_alive(call.boolean(0));
    return nullptr;
}

napi_value initialize(napi_env env, napi_value exports) {
    if (FANWIRE_CHECK_VERSION() != FANWIRE_OK) throw_plain(env, fanwire_last_error());
    Environment::create(env);
    export_function<setup>(env, exports, "setup");
    export_function<wake>(env, exports, "wake");
    export_function<keep_alive>(env, exports, "keepAlive");
    export_tables(env, exports);
    export_options(env, exports);
    export_log(env, exports);
    export_json(env, exports);
    export_envelope(env, exports);
    export_inbox(env, exports);
    export_engine(env, exports);
    export_asking(env, exports);
    export_publishing(env, exports);
    export_subscription(env, exports);
    return exports;
}

}  // namespace
}  // namespace fanwire::node

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
    try {
        return fanwire::node::initialize(env, exports);
    } catch (const fanwire::node::PendingException&) {
        return nullptr;
    }
}
