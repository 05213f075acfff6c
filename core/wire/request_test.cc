#include "core/wire/request.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

constexpr std::string_view kTail = "0000000000000017_0000000000000042";
constexpr std::string_view kZero = "0000000000000000_0000000000000000";
constexpr Offset kTailOffset{Incarnation{17}, Position{42}};

// One request as a test writes it down. Owns the scratch that the result borrows from.
class Given {
 public:
  explicit Given(Method method) {
    text_.method = method;
    text_.path = "shop/orders";
  }
  Given& with(HeaderId id, std::string_view value) {
    text_.headers[static_cast<size_t>(id)] = value;
    return *this;
  }
  Given& query(std::string_view value) {
    text_.query = value;
    return *this;
  }
  Given& body(std::string_view type, std::string_view bytes) {
    text_.body = bytes;
    return with(HeaderId::kContentType, type);
  }
  Given& raw_body(std::string_view bytes) {
    text_.body = bytes;
    return *this;
  }
  Given& path(std::string_view path) {
    text_.path = path;
    return *this;
  }
  Given& repeated() {
    text_.repeated_header = true;
    return *this;
  }

  ErrorCode error() {
    const auto result = parse_request(text_, scratch_);
    return result ? ErrorCode::kNone : result.error();
  }
  template <typename T>
  T ok() {
    const auto result = parse_request(text_, scratch_);
    EXPECT_TRUE(result.ok()) << (result ? "" : error_info(result.error()).code);
    if (!result || !std::holds_alternative<T>(*result)) return T{};
    return std::get<T>(*result);
  }

 private:
  RequestText text_;
  ParseScratch scratch_;
};

Given put() { return Given(Method::kPut); }
Given post() { return Given(Method::kPost).body("text/plain", "hello"); }
Given get(std::string_view query = "") { return Given(Method::kGet).query(query); }

std::string stored(const Body& body) {
  std::string out;
  body.append_stored(out);
  EXPECT_EQ(out.size(), body.stored_bytes());
  return out;
}

TEST(HeaderId, IsFoundInAnyCase) {
  EXPECT_EQ(header_id("Content-Type"), HeaderId::kContentType);
  EXPECT_EQ(header_id("STREAM-FORK-SUB-OFFSET"), HeaderId::kStreamForkSubOffset);
  EXPECT_EQ(header_id("if-none-match"), HeaderId::kIfNoneMatch);
  EXPECT_EQ(header_id("producer-seq"), HeaderId::kProducerSeq);
  EXPECT_EQ(header_id("Content-Length"), std::nullopt);
  EXPECT_EQ(header_id("Stream-Closed "), std::nullopt);
  EXPECT_EQ(header_id(""), std::nullopt);
}

// --- Any method ----------------------------------------------------------------------------------

TEST(Request, ARepeatedHeaderIsRefusedWithEveryMethod) {
  for (const Method method :
       {Method::kGet, Method::kHead, Method::kPut, Method::kPost, Method::kDelete}) {
    EXPECT_EQ(Given(method).repeated().error(), ErrorCode::kRepeatedHeader);
  }
}

TEST(Request, HeadAndDeleteIgnoreTheQuery) {
  (void)Given(Method::kHead).query("offset=&live=no").ok<HeadRequest>();
  (void)Given(Method::kDelete).query("offset=x").ok<DeleteRequest>();
  EXPECT_EQ(Given(Method::kHead).query("offset=&live=no").error(), ErrorCode::kNone);
  EXPECT_EQ(Given(Method::kDelete).query("offset=x").error(), ErrorCode::kNone);
}

// --- GET -----------------------------------------------------------------------------------------

TEST(ReadRequest, WithoutAQueryIsACatchUpFromTheBeginning) {
  const auto request = get().ok<ReadRequest>();
  EXPECT_EQ(request.offset.kind, OffsetParam::Kind::kBeginning);
  EXPECT_FALSE(request.offset_present);
  EXPECT_EQ(request.live, LiveMode::kCatchUp);
  EXPECT_EQ(request.cursor, std::nullopt);
  EXPECT_EQ(request.if_none_match, "");
}

TEST(ReadRequest, CarriesOffsetModeCursorAndTag) {
  const std::string query = "offset=" + std::string(kTail) + "&live=long-poll&cursor=123";
  const auto request = get(query).with(HeaderId::kIfNoneMatch, "\"a\"").ok<ReadRequest>();
  EXPECT_EQ(request.offset.kind, OffsetParam::Kind::kAt);
  EXPECT_EQ(request.offset.at, kTailOffset);
  EXPECT_TRUE(request.offset_present);
  EXPECT_EQ(request.live, LiveMode::kLongPoll);
  EXPECT_EQ(request.cursor, 123u);
  EXPECT_EQ(request.if_none_match, "\"a\"");
  EXPECT_EQ(get("live=sse&offset=now").ok<ReadRequest>().live, LiveMode::kSse);
  EXPECT_EQ(get("live=sse&offset=now").ok<ReadRequest>().offset.kind, OffsetParam::Kind::kNow);
}

TEST(ReadRequest, UnknownParametersAreIgnored) {
  const auto request = get("foo=bar&offset=-1&&baz&=x&%zz=%zz&Offset=9").ok<ReadRequest>();
  EXPECT_TRUE(request.offset_present);
  EXPECT_EQ(request.offset.kind, OffsetParam::Kind::kBeginning);
}

TEST(ReadRequest, EscapesAreDecodedInNamesAndValues) {
  EXPECT_EQ(get("offset=%2D1").ok<ReadRequest>().offset.kind, OffsetParam::Kind::kBeginning);
  EXPECT_EQ(get("%6fffset=now").ok<ReadRequest>().offset.kind, OffsetParam::Kind::kNow);
  EXPECT_EQ(get("offset=%30000000000000017_0000000000000042").ok<ReadRequest>().offset.at,
            kTailOffset);
  EXPECT_EQ(get("offset=-1&live=long%2dpoll").ok<ReadRequest>().live, LiveMode::kLongPoll);
}

TEST(ReadRequest, AnOffsetIsGivenOnceAndWellFormed) {
  for (const std::string_view query :
       {"offset", "offset=", "offset=a", "offset=0,1", "offset=0%201", "offset=0+1", "offset=-1+",
        "offset=-1&offset=-1", "offset=now&foo&offset=x", "offset=%", "offset=%0", "offset=%zz",
        "offset=-1%00", "offset=-1%0A", "offset=../-1", "offset=NOW",
        "offset=-1=", "%6fffset=-1&offset=-1"}) {
    EXPECT_EQ(get(query).error(), ErrorCode::kInvalidOffset) << query;
  }
}

TEST(ReadRequest, LiveIsOneOfTwoModesAndNeedsAnOffset) {
  for (const std::string_view query :
       {"offset=-1&live=", "offset=-1&live", "offset=-1&live=true", "offset=-1&live=SSE",
        "live=poll", "offset=-1&live=%zz", "offset=-1&live=sse&live=sse"}) {
    EXPECT_EQ(get(query).error(), ErrorCode::kInvalidQuery) << query;
  }
  EXPECT_EQ(get("live=sse").error(), ErrorCode::kOffsetRequired);
  EXPECT_EQ(get("live=long-poll&cursor=1").error(), ErrorCode::kOffsetRequired);
}

TEST(ReadRequest, ACursorThatIsNoNumberOfOursIsIgnored) {
  for (const std::string_view query :
       {"cursor=", "cursor", "cursor=abc", "cursor=-1", "cursor=01", "cursor=1.5", "cursor=%zz",
        "cursor=9007199254740992", "cursor=99999999999999999999"}) {
    EXPECT_EQ(get(query).ok<ReadRequest>().cursor, std::nullopt) << query;
  }
  EXPECT_EQ(get("cursor=9007199254740991").ok<ReadRequest>().cursor, kIntegerMax);
}

TEST(ReadRequest, HeadersOfWritesMeanNothing) {
  EXPECT_EQ(get().with(HeaderId::kProducerId, "").with(HeaderId::kStreamTtl, "x").error(),
            ErrorCode::kNone);
}

// --- PUT -----------------------------------------------------------------------------------------

TEST(CreateRequest, MayBeBare) {
  const auto request = put().ok<CreateRequest>();
  EXPECT_EQ(request.content_type, "");
  EXPECT_EQ(request.ttl_seconds, std::nullopt);
  EXPECT_EQ(request.expires_at, std::nullopt);
  EXPECT_FALSE(request.closed);
  EXPECT_FALSE(request.fork);
  EXPECT_EQ(request.body.stored_bytes(), 0u);
}

TEST(CreateRequest, CarriesItsConfigurationAndFirstContent) {
  const auto request = put()
                           .body("text/plain; charset=utf-8", "first")
                           .with(HeaderId::kStreamTtl, "3600")
                           .with(HeaderId::kStreamClosed, "TRUE")
                           .ok<CreateRequest>();
  EXPECT_EQ(request.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(request.ttl_seconds, 3600u);
  EXPECT_TRUE(request.closed);
  EXPECT_FALSE(request.body.json);
  EXPECT_EQ(stored(request.body), "first");
  EXPECT_EQ(
      put().with(HeaderId::kStreamExpiresAt, "1970-01-01T00:00:01Z").ok<CreateRequest>().expires_at,
      Instant{1000000});
}

TEST(CreateRequest, StreamClosedCountsOnlyWhenTrue) {
  for (const std::string_view value : {"", "false", "yes", "1", "true ", "truee", "\"true\""}) {
    EXPECT_FALSE(put().with(HeaderId::kStreamClosed, value).ok<CreateRequest>().closed) << value;
  }
  EXPECT_TRUE(put().with(HeaderId::kStreamClosed, "tRuE").ok<CreateRequest>().closed);
}

TEST(CreateRequest, ATtlIsAPlainNumberOfSeconds) {
  for (const std::string_view value : {"", "+3600", "03600", "3600.0", "3.6e3", "-1", "1h", " 1",
                                       "10000000001", "99999999999999999999999"}) {
    EXPECT_EQ(put().with(HeaderId::kStreamTtl, value).error(), ErrorCode::kInvalidTtl) << value;
  }
  EXPECT_EQ(put().with(HeaderId::kStreamTtl, "0").ok<CreateRequest>().ttl_seconds, 0u);
  EXPECT_EQ(put().with(HeaderId::kStreamTtl, "10000000000").ok<CreateRequest>().ttl_seconds,
            kTtlSecondsMax);
}

TEST(CreateRequest, RetentionIsAPlainNumberOfSecondsOrBytesAboveZero) {
  const CreateRequest bare = put().ok<CreateRequest>();
  EXPECT_FALSE(bare.max_age_seconds.has_value());
  EXPECT_FALSE(bare.max_bytes.has_value());
  for (const HeaderId id : {HeaderId::kStreamMaxAge, HeaderId::kStreamMaxBytes}) {
    for (const std::string_view value :
         {"", "0", "00", "+1", "01", "1.0", "1e3", "-1", "1h", " 1", "1 ", "none",
          "9007199254740992", "18446744073709551616"}) {
      EXPECT_EQ(put().with(id, value).error(), ErrorCode::kInvalidRetention) << value;
    }
  }
  const auto age = [](std::string_view value) {
    return put().with(HeaderId::kStreamMaxAge, value).ok<CreateRequest>().max_age_seconds;
  };
  const auto bytes = [](std::string_view value) {
    return put().with(HeaderId::kStreamMaxBytes, value).ok<CreateRequest>().max_bytes;
  };
  EXPECT_EQ(age("1"), 1u);
  EXPECT_EQ(age("10000000000"), kTtlSecondsMax);
  EXPECT_EQ(put().with(HeaderId::kStreamMaxAge, "10000000001").error(),
            ErrorCode::kInvalidRetention);
  EXPECT_EQ(bytes("1"), 1u);
  EXPECT_EQ(bytes("9007199254740991"), kIntegerMax);
  const CreateRequest both = put()
                                 .with(HeaderId::kStreamMaxAge, "60")
                                 .with(HeaderId::kStreamMaxBytes, "1000")
                                 .with(HeaderId::kStreamTtl, "5")
                                 .ok<CreateRequest>();
  EXPECT_EQ(both.max_age_seconds, 60u);
  EXPECT_EQ(both.max_bytes, 1000u);
  EXPECT_EQ(both.ttl_seconds, 5u);
}

TEST(CreateRequest, AnExpiryIsATimestamp) {
  for (const std::string_view value : {"", "tomorrow", "2030-01-02", "1893456000"}) {
    EXPECT_EQ(put().with(HeaderId::kStreamExpiresAt, value).error(), ErrorCode::kInvalidExpiresAt)
        << value;
  }
  EXPECT_EQ(put()
                .with(HeaderId::kStreamTtl, "60")
                .with(HeaderId::kStreamExpiresAt, "2030-01-02T03:04:05Z")
                .error(),
            ErrorCode::kTtlAndExpiresAt);
}

TEST(CreateRequest, AContentTypeMustBeOne) {
  for (const std::string_view value : {"", "nonsense", "text/plain\r\nX: y", "text/"}) {
    EXPECT_EQ(put().with(HeaderId::kContentType, value).error(), ErrorCode::kInvalidContentType);
  }
  const std::string longest = "text/" + std::string(kContentTypeBytesMax - 5, 'x');
  EXPECT_EQ(put().with(HeaderId::kContentType, longest).error(), ErrorCode::kNone);
  EXPECT_EQ(put().with(HeaderId::kContentType, longest + "x").error(),
            ErrorCode::kInvalidContentType);
}

TEST(CreateRequest, JsonIsCheckedAndSplit) {
  Given given = put().body("application/json", " [1, {\"a\":2} ]");
  const auto request = given.ok<CreateRequest>();
  EXPECT_TRUE(request.body.json);
  EXPECT_EQ(request.body.elements.size(), 2u);
  EXPECT_EQ(request.body.stored_bytes(), 10u);
  EXPECT_EQ(put().body("application/json", "[1,").error(), ErrorCode::kInvalidJson);
  EXPECT_EQ(put().body("application/json", "  ").error(), ErrorCode::kInvalidJson);
  EXPECT_EQ(put().body("application/json", std::string(600, '[')).error(), ErrorCode::kJsonTooDeep);
}

TEST(CreateRequest, AnEmptyArrayCreatesAnEmptyStream) {
  for (const std::string_view body : {"", "[]", " [ ] "}) {
    const auto request = put().body("application/json", body).ok<CreateRequest>();
    EXPECT_TRUE(request.body.json);
    EXPECT_EQ(request.body.stored_bytes(), 0u);
  }
}

TEST(CreateRequest, BadProducerHeadersAreRefusedBeforeAnythingIsCreated) {
  EXPECT_EQ(put().with(HeaderId::kProducerId, "p").error(), ErrorCode::kIncompleteProducer);
  EXPECT_EQ(put()
                .with(HeaderId::kProducerId, "p")
                .with(HeaderId::kProducerEpoch, "x")
                .with(HeaderId::kProducerSeq, "0")
                .error(),
            ErrorCode::kInvalidProducer);
}

// --- Forks ---------------------------------------------------------------------------------------

Given fork(std::string_view source = "/v1/stream/shop/source") {
  return put().with(HeaderId::kStreamForkedFrom, source);
}

TEST(ForkRequest, NamesItsSourceByPath) {
  const auto given = fork("/v1/stream/shop/%73ource%20x").ok<CreateRequest>();
  ASSERT_TRUE(given.fork);
  EXPECT_EQ(given.fork->offset, std::nullopt);
  EXPECT_EQ(given.fork->offset_text, "");
  EXPECT_EQ(given.fork->sub_offset, 0u);
}

TEST(ForkRequest, TheSourcePathIsCanonical) {
  Given given = fork("/v1/stream/shop/%73ource%20x");
  EXPECT_EQ(given.ok<CreateRequest>().fork->path, "shop/source%20x");
  Given aliased = fork("/v1/stream/source").path("_default/child");
  EXPECT_EQ(aliased.ok<CreateRequest>().fork->path, "_default/source");
  Given spelt_out = fork("/v1/stream/_default/source").path("_default/child");
  EXPECT_EQ(spelt_out.ok<CreateRequest>().fork->path, "_default/source");
}

TEST(ForkRequest, TheSourceIsAStreamOfTheSameProject) {
  for (const std::string_view source :
       {"", "source", "shop/source", "/source", "/v1/stream/", "/v1/stream/other/source",
        "/v1/stream/source", "/v1/stream/shopping/source", "/v1/stream/shop/../x",
        "/v1/stream/shop/__ds/x", "http://localhost/v1/stream/shop/source",
        "/v1/stream/shop/a?offset=1"}) {
    EXPECT_EQ(fork(source).error(), ErrorCode::kInvalidForkSource) << source;
  }
}

TEST(ForkRequest, ForkHeadersNeedASource) {
  EXPECT_EQ(put().with(HeaderId::kStreamForkOffset, kTail).error(),
            ErrorCode::kForkHeaderWithoutSource);
  EXPECT_EQ(put().with(HeaderId::kStreamForkSubOffset, "0").error(),
            ErrorCode::kForkHeaderWithoutSource);
}

TEST(ForkRequest, TheForkPointIsAnOffset) {
  const auto at = fork().with(HeaderId::kStreamForkOffset, kTail).ok<CreateRequest>();
  EXPECT_EQ(at.fork->offset, kTailOffset);
  EXPECT_EQ(at.fork->offset_text, kTail);
  const auto zero = fork().with(HeaderId::kStreamForkOffset, kZero).ok<CreateRequest>();
  EXPECT_EQ(zero.fork->offset, Offset{});
  for (const std::string_view offset : {"", "-1", "now", "42", "0_42"}) {
    EXPECT_EQ(fork().with(HeaderId::kStreamForkOffset, offset).error(),
              ErrorCode::kInvalidForkOffset)
        << offset;
  }
}

TEST(ForkRequest, ASubOffsetIsAPlainNumberPastAnOffset) {
  EXPECT_EQ(fork()
                .with(HeaderId::kStreamForkOffset, kTail)
                .with(HeaderId::kStreamForkSubOffset, "3")
                .ok<CreateRequest>()
                .fork->sub_offset,
            3u);
  EXPECT_EQ(fork().with(HeaderId::kStreamForkSubOffset, "0").error(), ErrorCode::kNone);
  EXPECT_EQ(fork().with(HeaderId::kStreamForkSubOffset, "1").error(),
            ErrorCode::kInvalidForkSubOffset);
  for (const std::string_view value : {"", "-1", "abc", "1.5", "01", "+1", "9007199254740992"}) {
    EXPECT_EQ(fork()
                  .with(HeaderId::kStreamForkOffset, kTail)
                  .with(HeaderId::kStreamForkSubOffset, value)
                  .error(),
              ErrorCode::kInvalidForkSubOffset)
        << value;
  }
}

TEST(ForkRequest, ABodyOfInheritedTypeIsLeftUnchecked) {
  const auto request = fork().raw_body("[1,").ok<CreateRequest>();
  EXPECT_FALSE(request.body.json);
  EXPECT_EQ(request.body.bytes, "[1,");
}

// --- POST ----------------------------------------------------------------------------------------

TEST(AppendRequest, CarriesTypeAndBody) {
  const auto request = post().ok<AppendRequest>();
  EXPECT_EQ(request.content_type, "text/plain");
  EXPECT_FALSE(request.close);
  EXPECT_FALSE(request.producer);
  EXPECT_FALSE(request.stream_seq);
  EXPECT_EQ(request.match, AppendRequest::Match::kNone);
  EXPECT_EQ(stored(request.body), "hello");
}

TEST(AppendRequest, ABodyNeedsAContentType) {
  EXPECT_EQ(Given(Method::kPost).raw_body("x").error(), ErrorCode::kMissingContentType);
  EXPECT_EQ(Given(Method::kPost).body("", "x").error(), ErrorCode::kInvalidContentType);
  EXPECT_EQ(Given(Method::kPost).body("nonsense", "x").error(), ErrorCode::kInvalidContentType);
}

TEST(AppendRequest, AnEmptyBodyOnlyCloses) {
  EXPECT_EQ(Given(Method::kPost).error(), ErrorCode::kEmptyBody);
  EXPECT_EQ(Given(Method::kPost).body("text/plain", "").error(), ErrorCode::kEmptyBody);
  EXPECT_EQ(Given(Method::kPost).with(HeaderId::kStreamClosed, "yes").error(),
            ErrorCode::kEmptyBody);
  // Its content type is ignored, whatever it is.
  const auto close = Given(Method::kPost)
                         .body("nonsense", "")
                         .with(HeaderId::kStreamClosed, "true")
                         .ok<AppendRequest>();
  EXPECT_TRUE(close.close);
  EXPECT_EQ(close.content_type, "");
  EXPECT_EQ(close.body.stored_bytes(), 0u);
}

TEST(AppendRequest, JsonIsStoredMessageByMessage) {
  Given array = Given(Method::kPost).body("application/json", " [ {\"a\": 1} ,2 ] ");
  EXPECT_EQ(stored(array.ok<AppendRequest>().body), "{\"a\": 1},2,");
  Given value = Given(Method::kPost).body("application/json; charset=utf-8", " 7\n");
  EXPECT_EQ(stored(value.ok<AppendRequest>().body), "7,");
  Given mixed = Given(Method::kPost).body("application/json", "[1,\"a,b\", 2,[3,4],{} ,5]");
  EXPECT_EQ(stored(mixed.ok<AppendRequest>().body), "1,\"a,b\",2,[3,4],{},5,");
  Given nested = Given(Method::kPost).body("application/json", "[[1,2]]");
  EXPECT_EQ(stored(nested.ok<AppendRequest>().body), "[1,2],");
  EXPECT_EQ(Given(Method::kPost).body("application/json", "[]").error(), ErrorCode::kEmptyArray);
  EXPECT_EQ(Given(Method::kPost).body("application/json", "[1,]").error(), ErrorCode::kInvalidJson);
  EXPECT_EQ(Given(Method::kPost).body("application/json", std::string(600, '[')).error(),
            ErrorCode::kJsonTooDeep);
  // Other types are bytes.
  EXPECT_EQ(Given(Method::kPost).body("application/ndjson", "[1,]").error(), ErrorCode::kNone);
}

TEST(AppendRequest, AProducerIsATupleOfThree) {
  const auto request = post()
                           .with(HeaderId::kProducerId, "order service-1")
                           .with(HeaderId::kProducerEpoch, "0")
                           .with(HeaderId::kProducerSeq, "9007199254740991")
                           .ok<AppendRequest>();
  ASSERT_TRUE(request.producer);
  EXPECT_EQ(request.producer->id, "order service-1");
  EXPECT_EQ(request.producer->epoch, 0u);
  EXPECT_EQ(request.producer->seq, kIntegerMax);

  const HeaderId parts[] = {HeaderId::kProducerId, HeaderId::kProducerEpoch,
                            HeaderId::kProducerSeq};
  for (unsigned present = 1; present < 7; ++present) {
    Given given = post();
    for (unsigned i = 0; i < 3; ++i) {
      if ((present >> i & 1) != 0) given.with(parts[i], "0");
    }
    EXPECT_EQ(given.error(), ErrorCode::kIncompleteProducer) << present;
  }
}

TEST(AppendRequest, AProducersPartsAreWellFormed) {
  const auto producer = [](std::string_view id, std::string_view epoch, std::string_view seq) {
    return post()
        .with(HeaderId::kProducerId, id)
        .with(HeaderId::kProducerEpoch, epoch)
        .with(HeaderId::kProducerSeq, seq)
        .error();
  };
  EXPECT_EQ(producer(std::string(kProducerIdBytesMax, 'p'), "1", "2"), ErrorCode::kNone);
  EXPECT_EQ(producer(std::string(kProducerIdBytesMax + 1, 'p'), "1", "2"),
            ErrorCode::kInvalidProducer);
  EXPECT_EQ(producer("", "0", "0"), ErrorCode::kInvalidProducer);
  EXPECT_EQ(producer("a\x01", "0", "0"), ErrorCode::kInvalidProducer);
  EXPECT_EQ(producer("\xc3\xa9", "0", "0"), ErrorCode::kInvalidProducer);
  for (const std::string_view bad : {"", "-1", "01", "1.0", "1e3", "abc", "9007199254740992"}) {
    EXPECT_EQ(producer("p", bad, "0"), ErrorCode::kInvalidProducer) << bad;
    EXPECT_EQ(producer("p", "0", bad), ErrorCode::kInvalidProducer) << bad;
  }
}

TEST(AppendRequest, AStreamSeqIsAnyTextWithoutControls) {
  EXPECT_EQ(post().with(HeaderId::kStreamSeq, "2026-01-02 \xc3\xa9").ok<AppendRequest>().stream_seq,
            "2026-01-02 \xc3\xa9");
  EXPECT_EQ(post().with(HeaderId::kStreamSeq, std::string(kStreamSeqBytesMax, 'x')).error(),
            ErrorCode::kNone);
  EXPECT_EQ(post().with(HeaderId::kStreamSeq, std::string(kStreamSeqBytesMax + 1, 'x')).error(),
            ErrorCode::kInvalidHeader);
  EXPECT_EQ(post().with(HeaderId::kStreamSeq, "a\tb").error(), ErrorCode::kInvalidHeader);
  EXPECT_EQ(post().with(HeaderId::kStreamSeq, "a\x7f").error(), ErrorCode::kInvalidHeader);
}

TEST(AppendRequest, IfMatchNamesTheTail) {
  const std::string quoted = "\"" + std::string(kTail) + "\"";
  const auto at = post().with(HeaderId::kIfMatch, quoted).ok<AppendRequest>();
  EXPECT_EQ(at.match, AppendRequest::Match::kOffset);
  EXPECT_EQ(at.match_offset, kTailOffset);
  EXPECT_EQ(post().with(HeaderId::kIfMatch, "*").ok<AppendRequest>().match,
            AppendRequest::Match::kAny);
}

TEST(AppendRequest, ATagThatIsNoTailNeverMatches) {
  const std::string weak = "W/\"" + std::string(kTail) + "\"";
  const std::string zero = "\"" + std::string(kZero) + "\"";
  for (const std::string& tag : {weak, zero, std::string("\"\""), std::string("\"now\""),
                                 std::string("\"-1\""), std::string("\"17:0:42:t\"")}) {
    EXPECT_EQ(post().with(HeaderId::kIfMatch, tag).ok<AppendRequest>().match,
              AppendRequest::Match::kNever)
        << tag;
  }
}

TEST(AppendRequest, AnIfMatchThatIsNoTagIsRefused) {
  for (const std::string_view value :
       {"", "\"", "x", "**", "0000000000000017_0000000000000042", "\"a\", \"b\"", "\"a\"b\"",
        "w/\"a\"", "W/", "\"a b\"", "\"a\x01\"", "*, \"a\""}) {
    EXPECT_EQ(post().with(HeaderId::kIfMatch, value).error(), ErrorCode::kInvalidHeader) << value;
  }
}

// --- Bodies --------------------------------------------------------------------------------------

TEST(CheckBody, ReplacesWhatItsBuffersHeld) {
  std::vector<JsonElement> elements = {{1, 2}, {3, 4}};
  Body body;
  EXPECT_EQ(check_body("[7]", "application/json", EmptyArray::kRefused, elements, body),
            ErrorCode::kNone);
  EXPECT_EQ(stored(body), "7,");
  EXPECT_EQ(check_body("[7]", "text/plain", EmptyArray::kRefused, elements, body),
            ErrorCode::kNone);
  EXPECT_FALSE(body.json);
  EXPECT_EQ(stored(body), "[7]");
  EXPECT_EQ(check_body("[]", "application/json", EmptyArray::kRefused, elements, body),
            ErrorCode::kEmptyArray);
  EXPECT_EQ(check_body("", "application/json", EmptyArray::kRefused, elements, body),
            ErrorCode::kNone);
  EXPECT_EQ(body.stored_bytes(), 0u);
}

// --- Properties ----------------------------------------------------------------------------------

TEST(Request, QueriesSurviveEveryMutation) {
  uint64_t live = 0;
  tests::for_each_mutation(
      "offset=0000000000000017_0000000000000042&live=long-p%6Fll&cursor=12&x=y",
      [&](std::string_view input) {
        RequestText text;
        text.method = Method::kGet;
        text.query = input;
        ParseScratch scratch;
        const auto result = parse_request(text, scratch);
        if (!result) {
          EXPECT_EQ(error_info(result.error()).status, 400);
          return;
        }
        const auto& read = std::get<ReadRequest>(*result);
        if (read.live == LiveMode::kCatchUp) return;
        ++live;
        EXPECT_TRUE(read.offset_present) << input;
      });
  EXPECT_GT(live, 100u);
}

TEST(Request, HeadersSurviveEveryMutation) {
  const std::string quoted = "\"" + std::string(kTail) + "\"";
  const struct {
    Method method;
    HeaderId id;
    std::string_view value;
  } cases[] = {
      {Method::kPut, HeaderId::kStreamForkedFrom, "/v1/stream/shop/a%20b"},
      {Method::kPut, HeaderId::kStreamExpiresAt, "2026-01-02T03:04:05.5+01:00"},
      {Method::kPut, HeaderId::kStreamTtl, "3600"},
      {Method::kPut, HeaderId::kStreamMaxAge, "86400"},
      {Method::kPut, HeaderId::kStreamMaxBytes, "1073741824"},
      {Method::kPut, HeaderId::kContentType, "text/plain; a=\"b\""},
      {Method::kPost, HeaderId::kIfMatch, quoted},
      {Method::kPost, HeaderId::kStreamSeq, "abc"},
  };
  for (const auto& c : cases) {
    tests::for_each_mutation(c.value, [&](std::string_view input) {
      Given given = c.method == Method::kPut ? put() : post();
      const ErrorCode error = given.with(c.id, input).error();
      if (error != ErrorCode::kNone) {
        EXPECT_EQ(error_info(error).status, 400) << input;
      }
    });
  }
}

TEST(Request, ScratchIsReusedWithoutATrace) {
  ParseScratch scratch;
  RequestText json;
  json.method = Method::kPost;
  json.headers[static_cast<size_t>(HeaderId::kContentType)] = "application/json";
  json.body = "[1,2,3]";
  RequestText value = json;
  value.body = "4";
  for (int i = 0; i < 3; ++i) {
    const auto three = parse_request(json, scratch);
    ASSERT_TRUE(three);
    EXPECT_EQ(std::get<AppendRequest>(*three).body.elements.size(), 3u);
    const auto one = parse_request(value, scratch);
    ASSERT_TRUE(one);
    EXPECT_EQ(std::get<AppendRequest>(*one).body.elements.size(), 1u);
  }
}

}  // namespace
}  // namespace ds::wire
