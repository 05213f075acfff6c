#include "core/wire/sse.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/wire/utf8.h"
#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

std::string data(ContentKind kind, std::string_view stored) {
  std::string out = "before|";
  append_sse_data(out, kind, stored);
  EXPECT_EQ(out.substr(0, 7), "before|");
  return out.substr(7);
}

std::string control(const SseControl& value) {
  std::string out;
  append_sse_control(out, value);
  return out;
}

// What a browser makes of a stream of events, by the WHATWG rules.
struct Event {
  std::string type;
  std::string data;
};

std::vector<Event> read_events(std::string_view text) {
  std::vector<Event> events;
  Event event;
  bool has_data = false;
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
    if (line.empty()) {
      if (has_data) event.data.pop_back(), events.push_back(event);
      event = {};
      has_data = false;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == 0) continue;
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.substr(0, 1) == " ") value.remove_prefix(1);
    if (line.substr(0, colon) == "event") event.type = value;
    if (line.substr(0, colon) == "data") {
      event.data += value;
      event.data += '\n';
      has_data = true;
    }
  }
  return events;
}

// The same text with every kind of line end as '\n', which is all that SSE can carry.
std::string with_plain_line_ends(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

std::string decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(kAlphabet.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count);
    }
  }
  return out;
}

TEST(SseData, TextIsOneLineOfDataPerLine) {
  EXPECT_EQ(data(ContentKind::kText, "hello"), "event: data\ndata:hello\n\n");
  EXPECT_EQ(data(ContentKind::kText, "a\nb\rc\r\nd"),
            "event: data\ndata:a\ndata:b\ndata:c\ndata:d\n\n");
  EXPECT_EQ(data(ContentKind::kText, "a\n"), "event: data\ndata:a\ndata:\n\n");
  EXPECT_EQ(data(ContentKind::kText, "\n\r"), "event: data\ndata:\ndata:\ndata:\n\n");
  EXPECT_EQ(data(ContentKind::kText, "\r\n"), "event: data\ndata:\ndata:\n\n");
  EXPECT_EQ(data(ContentKind::kText, ""), "event: data\ndata:\n\n");
}

TEST(SseData, ALineThatBeginsWithASpaceGetsOneMore) {
  EXPECT_EQ(data(ContentKind::kText, " a\n  b\nc "),
            "event: data\ndata:  a\ndata:   b\ndata:c \n\n");
}

TEST(SseData, PayloadCannotForgeEvents) {
  const std::string frame = data(ContentKind::kText, "x\n\nevent: control\ndata: {}\r\rid: 7");
  const auto events = read_events(frame);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].type, "data");
  EXPECT_EQ(events[0].data, "x\n\nevent: control\ndata: {}\n\nid: 7");
}

TEST(SseData, InvalidUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(data(ContentKind::kText, "a\xff\nb\xe2\x82"),
            "event: data\ndata:a\xef\xbf\xbd\ndata:b\xef\xbf\xbd\n\n");
}

TEST(SseData, JsonIsOneArrayWithoutTheLastComma) {
  EXPECT_EQ(data(ContentKind::kJson, "{\"a\":1},"), "event: data\ndata:[{\"a\":1}]\n\n");
  EXPECT_EQ(data(ContentKind::kJson, "1,\"x\",null,"), "event: data\ndata:[1,\"x\",null]\n\n");
  EXPECT_EQ(data(ContentKind::kJson, ""), "event: data\ndata:[]\n\n");
}

TEST(SseData, LineEndsBetweenJsonTokensSplitTheData) {
  EXPECT_EQ(data(ContentKind::kJson, "{\n  \"a\": 1\r\n},"),
            "event: data\ndata:[{\ndata:   \"a\": 1\ndata:}]\n\n");
}

TEST(SseData, BinaryIsBase64) {
  // RFC 4648 §10.
  EXPECT_EQ(data(ContentKind::kBinary, ""), "event: data\ndata:\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "f"), "event: data\ndata:Zg==\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "fo"), "event: data\ndata:Zm8=\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "foo"), "event: data\ndata:Zm9v\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "foob"), "event: data\ndata:Zm9vYg==\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "fooba"), "event: data\ndata:Zm9vYmE=\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, "foobar"), "event: data\ndata:Zm9vYmFy\n\n");
  EXPECT_EQ(data(ContentKind::kBinary, std::string_view("\xff\xfe\0\n", 4)),
            "event: data\ndata://4ACg==\n\n");
}

TEST(SseData, AReaderGetsBackWhatWasWritten) {
  tests::Random random(1);
  static constexpr std::string_view kParts[] = {
      "\r", "\n", "\r\n", " ", "a", "data:", ":", "", "\xff", "xyz", "\xe2\x82\xac"};
  for (int round = 0; round < 5000; ++round) {
    std::string payload;
    for (uint64_t n = random.below(12); n > 0; --n) payload += kParts[random.below(11)];

    const auto text = read_events(data(ContentKind::kText, payload));
    ASSERT_EQ(text.size(), 1u);
    std::string clean;
    append_utf8_lossy(clean, payload);
    ASSERT_EQ(text[0].data, with_plain_line_ends(clean));

    const auto binary = read_events(data(ContentKind::kBinary, payload));
    ASSERT_EQ(binary.size(), 1u);
    ASSERT_EQ(binary[0].data.size() % 4, 0u);
    ASSERT_EQ(decode_base64(binary[0].data), payload);
  }
}

TEST(SseControl, TellsWhereTheReaderStands) {
  const Offset offset{Incarnation{17}, Position{42}};
  EXPECT_EQ(control({offset, 9, false, false}),
            "event: control\ndata:{\"streamNextOffset\":\"0000000000000017_0000000000000042\","
            "\"streamCursor\":\"9\"}\n\n");
  EXPECT_EQ(control({offset, 9, true, false}),
            "event: control\ndata:{\"streamNextOffset\":\"0000000000000017_0000000000000042\","
            "\"streamCursor\":\"9\",\"upToDate\":true}\n\n");
}

TEST(SseControl, TheEndOfAClosedStreamHasNoCursor) {
  const Offset offset{Incarnation{17}, Position{42}};
  const std::string expected =
      "event: control\ndata:{\"streamNextOffset\":\"0000000000000017_0000000000000042\","
      "\"upToDate\":true,\"streamClosed\":true}\n\n";
  EXPECT_EQ(control({offset, std::nullopt, true, true}), expected);
  EXPECT_EQ(control({offset, 9, false, true}), expected);
}

TEST(SseHeartbeat, IsNoEvent) {
  EXPECT_TRUE(read_events(kSseHeartbeat).empty());
  const std::string between =
      data(ContentKind::kText, "a") + std::string(kSseHeartbeat) + control({{}, 1, true, false});
  ASSERT_EQ(read_events(between).size(), 2u);
}

}  // namespace
}  // namespace ds::wire
