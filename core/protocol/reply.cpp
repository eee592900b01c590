#include "core/protocol/reply.h"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#include <algorithm>
#include <charconv>
#include <new>

namespace fanwire::core {

static constexpr std::size_t nesting_max = 7;

// A reply larger than this is not worth keeping its memory for the next.
static constexpr std::size_t keep_max = 1 << 20;

// The callbacks by which hiredis tells us what it read. An "object" is the index of our node plus one.
struct ReplyFunctions {
    using Node = ReplyReader::Node;

    static ReplyReader& reader(const redisReadTask* task) { return *static_cast<ReplyReader*>(task->privdata); }

    static void* add(const redisReadTask* task, Node node) noexcept try {
        auto& nodes = reader(task).nodes_;
        const std::size_t index = nodes.size();
        if (index > reader(task).elements_limit_) {
            reader(task).refusal_ = ReplyReader::Refusal::elements;
            return nullptr;
        }
        nodes.push_back(node);
        if (task->parent) {
            // Elements come in order: the last child so far is the one to link from.
            Node& parent = nodes[reinterpret_cast<std::size_t>(task->parent->obj) - 1];
            if (parent.first_child == 0)
                parent.first_child = index;
            else
                nodes[parent.text_at].next_sibling = index;
            parent.text_at = index;
        }
        return reinterpret_cast<void*>(index + 1);
    } catch (...) {
        reader(task).refusal_ = ReplyReader::Refusal::memory;
        return nullptr;
    }

    static void* create_string(const redisReadTask* task, char* bytes, std::size_t size) noexcept try {
        std::string& text = reader(task).text_;
        const std::size_t at = text.size();
        text.append(bytes, size);
        const ReplyType type = task->type == REDIS_REPLY_ERROR    ? ReplyType::error
                               : task->type == REDIS_REPLY_STATUS ? ReplyType::status
                                                                  : ReplyType::string;
        return add(task, {type, 0, at, size});
    } catch (...) {
        reader(task).refusal_ = ReplyReader::Refusal::memory;
        return nullptr;
    }

    // The number's type is int in hiredis 0.14 and size_t from 1.0.
    template <class Number>
    static void* create_array(const redisReadTask* task, Number elements) noexcept {
        const auto n = static_cast<long long>(elements);
        // hiredis would allocate for them before they arrive.
        if (n < 0 || static_cast<unsigned long long>(n) > reader(task).elements_limit_) {
            reader(task).refusal_ = ReplyReader::Refusal::elements;
            return nullptr;
        }
        // hiredis 0.14 has a limit of its own, 1.x has none.
        const std::size_t depth =
            task->parent ? reader(task).nodes_[reinterpret_cast<std::size_t>(task->parent->obj) - 1].text_size + 1 : 1;
        if (depth > nesting_max) {
            reader(task).refusal_ = ReplyReader::Refusal::nesting;
            return nullptr;
        }
        return add(task, {ReplyType::array, n, 0, depth});
    }

    static void* create_integer(const redisReadTask* task, long long value) noexcept {
        return add(task, {ReplyType::integer, value, 0, 0});
    }
    static void* create_nil(const redisReadTask* task) noexcept { return add(task, {ReplyType::nil, 0, 0, 0}); }

    // RESP3 types, which a server must not send us but might: read as the RESP2 types they stand for.
    static void* create_double(const redisReadTask* task, double, char* bytes, std::size_t size) noexcept {
        return create_string(task, bytes, size);
    }
    static void* create_bool(const redisReadTask* task, int value) noexcept { return create_integer(task, value); }

    static void free_object(void*) noexcept {}  // the reader owns its nodes

    template <class Functions>
    static Functions make() {
        Functions functions{};
        functions.createString = &create_string;
        functions.createArray = &create_array;
        functions.createInteger = &create_integer;
        functions.createNil = &create_nil;
        functions.freeObject = &free_object;
        if constexpr (requires { functions.createDouble; }) {
            functions.createDouble = &create_double;
            functions.createBool = &create_bool;
        }
        return functions;
    }
};

struct ReplyReader::Hiredis {
    redisReplyObjectFunctions functions = ReplyFunctions::make<redisReplyObjectFunctions>();
    redisReader* reader;

    explicit Hiredis(ReplyReader* owner) : reader(redisReaderCreateWithFunctions(&functions)) {
        if (!reader) throw std::bad_alloc();
        reader->privdata = owner;
    }
    ~Hiredis() { redisReaderFree(reader); }
    Hiredis(const Hiredis&) = delete;
    Hiredis& operator=(const Hiredis&) = delete;
};

ReplyReader::ReplyReader() : hiredis_(std::make_unique<Hiredis>(this)) {}
ReplyReader::~ReplyReader() = default;

void ReplyReader::reset() {
    hiredis_ = std::make_unique<Hiredis>(this);
    std::vector<Node>().swap(nodes_);
    std::string().swap(text_);
    fed_ = begun_ = 0;
    limit_ = usual_limit;
    error_.clear();
    refusal_ = Refusal::none;
}

void ReplyReader::feed(std::string_view bytes) {
    fed_ += bytes.size();
    begun_ += bytes.size();
    if (redisReaderFeed(hiredis_->reader, bytes.data(), bytes.size()) != 0 && hiredis_->reader->err == REDIS_ERR_OOM)
        throw std::bad_alloc();
}

bool ReplyReader::idle() const {
    return error_.empty() && hiredis_->reader->ridx == -1 && hiredis_->reader->pos == hiredis_->reader->len;
}

std::string_view ReplyReader::unread() const {
    const redisReader& reader = *hiredis_->reader;
    if (!error_.empty() || reader.ridx != -1 || reader.pos == reader.len) return {};
    return {reader.buf + reader.pos, reader.len - reader.pos};
}

std::size_t ReplyReader::drop_unread() {
    const std::size_t size = unread().size();
    hiredis_->reader->pos += size;
    begun_ -= size;
    return size;
}

void ReplyReader::trim() noexcept {
    if (!idle() || fed_ <= keep_max) return;
    const std::size_t limit = limit_;
    try {
        reset();
        limit_ = limit;
    } catch (const std::bad_alloc&) {  // at the next opportunity
    }
}

ReplyReader::Result ReplyReader::next() {
    if (!error_.empty()) return Result::broken;
    if (idle()) return Result::more;  // hiredis would begin a reply of which there is nothing yet
    // A reply may arrive in pieces: its nodes stay until it is whole and the one before it has been used up.
    if (hiredis_->reader->ridx == -1) {
        nodes_.clear();
        text_.clear();
    }
    void* object = nullptr;
    if (redisReaderGetReply(hiredis_->reader, &object) != 0) {
        if (refusal_ == Refusal::memory) throw std::bad_alloc();
        error_ = refusal_ == Refusal::elements
                     ? "an array of more than " + std::to_string(elements_limit_) + " elements"
                 : refusal_ == Refusal::nesting ? "arrays nested deeper than " + std::to_string(nesting_max)
                                                : std::string(hiredis_->reader->errstr);
        return Result::broken;
    }
    if (!object) {
        error_ = excess();
        return error_.empty() ? Result::more : Result::broken;
    }
    begun_ = hiredis_->reader->len - hiredis_->reader->pos;
    return Result::reply;
}

// The type of the element that is being read. hiredis 1.x keeps its tasks otherwise than 0.14.
template <class Reader>
static int type_under_way(const Reader& reader) {
    if (reader.ridx < 0) return -1;
    if constexpr (requires { reader.task; })
        return reader.task[reader.ridx]->type;
    else
        return reader.rstack[reader.ridx].type;
}

// What is wrong with a reply that is not all there yet, if anything: so that nothing is collected that can come to no
// good.
std::string ReplyReader::excess() const {
    const redisReader& reader = *hiredis_->reader;
    constexpr int verbatim = 14;  // REDIS_REPLY_VERB of hiredis 1.x
    const int type = type_under_way(reader);
    const std::string_view left(reader.buf + reader.pos, reader.len - reader.pos);
    const auto more_than = [](const char* what, std::size_t max) {
        return std::string(what) + " of more than " + std::to_string(max) + " bytes";
    };
    std::size_t line = left.size();
    if (type == REDIS_REPLY_STRING || type == verbatim) {
        const std::size_t end = left.find('\r');
        if (end != left.npos) {
            line = end;
            long long size = 0;
            std::from_chars(left.data(), left.data() + end, size);
            if (size > 0 && static_cast<unsigned long long>(size) > std::min(limit_, string_max))
                return more_than("a string", std::min(limit_, string_max));
        }
    }
    if (line > line_max) return more_than("a line", line_max);
    if (begun_ > limit_) return more_than("a reply", limit_);
    return {};
}

#define FANWIRE_TEXT(x) #x
#define FANWIRE_VERSION_TEXT(major, minor, patch) FANWIRE_TEXT(major) "." FANWIRE_TEXT(minor) "." FANWIRE_TEXT(patch)
const char* hiredis_version() {
    return FANWIRE_VERSION_TEXT(HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

ReplyType Reply::type() const {
    return reader_->nodes_[node_].type;
}

std::int64_t Reply::integer() const {
    return is(ReplyType::integer) ? reader_->nodes_[node_].integer : 0;
}

std::string_view Reply::text() const {
    const auto& node = reader_->nodes_[node_];
    if (node.type > ReplyType::error) return {};
    return std::string_view(reader_->text_).substr(node.text_at, node.text_size);
}

std::size_t Reply::size() const {
    return is(ReplyType::array) ? static_cast<std::size_t>(reader_->nodes_[node_].integer) : 0;
}

Reply Reply::operator[](std::size_t i) const {
    std::size_t child = reader_->nodes_[node_].first_child;
    while (i-- > 0) child = reader_->nodes_[child].next_sibling;
    return Reply(reader_, child);
}

Reply::Iterator Reply::begin() const {
    return Iterator(reader_, reader_->nodes_[node_].first_child, size());
}

Reply::Iterator& Reply::Iterator::operator++() {
    node_ = reader_->nodes_[node_].next_sibling;
    --left_;
    return *this;
}

}  // namespace fanwire::core
