#include "core/wire/json_scan.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/mutations.h"

namespace ds::wire {
namespace {

JsonVerdict scan(std::string_view text) {
  std::vector<JsonElement> elements;
  return scan_json(text, elements);
}

// The messages of `text`, or nothing if it is refused.
std::vector<std::string> split(std::string_view text) {
  std::vector<JsonElement> elements;
  std::vector<std::string> messages;
  (void)scan_json(text, elements);
  for (const JsonElement& e : elements)
    messages.emplace_back(text.substr(e.begin, e.end - e.begin));
  return messages;
}

std::string repeat(std::string_view text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

using Messages = std::vector<std::string>;

TEST(JsonScan, OneValueIsOneMessage) {
  for (const std::string_view text :
       {"{}", "{\"a\":1}", "\"x\"", "0", "-0", "1e400", "true", "false", "null", "\"\""}) {
    EXPECT_EQ(scan(text), JsonVerdict::kValue) << text;
    EXPECT_EQ(split(text), Messages{std::string(text)});
  }
}

TEST(JsonScan, AnArrayIsItsElementsOneLevelFlattened) {
  EXPECT_EQ(scan("[1,2]"), JsonVerdict::kArray);
  EXPECT_EQ(split("[1,2]"), (Messages{"1", "2"}));
  EXPECT_EQ(split("[[1,2],[3,4]]"), (Messages{"[1,2]", "[3,4]"}));
  EXPECT_EQ(split("[[[1,2,3]]]"), (Messages{"[[1,2,3]]"}));
  EXPECT_EQ(split("[[]]"), (Messages{"[]"}));
  EXPECT_EQ(split("[{},\"]\",{\"a\":[1,{\"b\":[]}]},null]"),
            (Messages{"{}", "\"]\"", "{\"a\":[1,{\"b\":[]}]}", "null"}));
}

TEST(JsonScan, AnEmptyArrayHasNoMessages) {
  EXPECT_EQ(scan("[]"), JsonVerdict::kEmptyArray);
  EXPECT_EQ(scan(" [ \n ] "), JsonVerdict::kEmptyArray);
  EXPECT_EQ(split("[]"), Messages{});
}

TEST(JsonScan, OuterWhitespaceIsTrimmedAndInnerKept) {
  EXPECT_EQ(split("\t { \"a\" : 1 }\r\n"), (Messages{"{ \"a\" : 1 }"}));
  EXPECT_EQ(split(" [ 1 ,\n[ 2 , 3 ]\t, \"a b\" ] "), (Messages{"1", "[ 2 , 3 ]", "\"a b\""}));
  EXPECT_EQ(split(" 7 "), (Messages{"7"}));
}

// In the manner of the public suites: what every parser must accept.
TEST(JsonScan, AcceptsAllOfRfc8259) {
  for (const std::string_view text : {
           "[123e65]",
           "[0e+1]",
           "[0e1]",
           "[ 4]",
           "[-0.000000000000000000000000000000000000000001]",
           "[20e1]",
           "[-0]",
           "[-123]",
           "[-1]",
           "[1E22]",
           "[1E-2]",
           "[1E+2]",
           "[123e45]",
           "[123.456e78]",
           "[1e-2]",
           "[1e+2]",
           "[123.456789]",
           "[0.1]",
           "[18446744073709551616]",
           "[1e99999]",
           "[-1e99999]",
           "[123456789012345678901234567890.1e-7]",
           R"({"asd":"sdf", "dfg":"fgh"})",
           R"({"a":"b","a":"c"})",
           R"({"":0})",
           R"({"foo\u0000bar": 42})",
           R"({ "min": -1.0e+28, "max": 1.0e+28 })",
           "{\"a\":[]}",
           "{\n\"a\": \"b\"\n}",
           R"(["\u0060\u012a\u12AB"])",
           R"(["\uD801\udc37"])",
           R"(["\ud83d\ude39\ud83d\udc8d"])",
           R"(["\"\\\/\b\f\n\r\t"])",
           R"(["\\u0000"])",
           R"(["\""])",
           "[\"a/*b*/c/*d//e\"]",
           R"(["\\a"])",
           R"(["\\n"])",
           R"(["\u0012"])",
           R"(["\uFFFF"])",
           "[\"asd\"]",
           R"(["\uDBFF\uDFFF"])",
           "[\"new\xc2\xa0line\"]",
           "[\"\xf4\x8f\xbf\xbf\"]",
           "[\"\xef\xbf\xbf\"]",
           R"(["\u0000"])",
           "[\"\x2c\"]",
           "[\"\xcf\x80\"]",
           "[\"\xf0\x9b\xbf\xbf\"]",
           "[\"asd \"]",
           "\" \"",
           R"(["\uD834\uDd1e"])",
           R"(["\u0821"])",
           R"(["\u0123"])",
           "[\"\xe2\x80\xa8\"]",
           "[\"\xe2\x80\xa9\"]",
           R"(["\u0061\u30af\u30EA\u30b9"])",
           "[\"new\\u00A0line\"]",
           "[\"\x7f\"]",
           R"(["\uA66D"])",
           R"(["\u005C"])",
           "[\"\xe2\x8d\x82\xe3\x88\xb4\"]",
           R"(["\u0022"])",
           "[\"\xef\xbb\xbf\"]",
           "false",
           "42",
           "-0.1",
           "null",
           "\"asd\"",
           "true",
           "\"\"",
           "[\"a\"]\n",
           "[true]",
           " []",
           "[null, 1, \"1\", {}]",
           // Lone surrogates in escapes are what JSON.stringify("\ud800") sends.
           R"(["\ud800"])",
           R"(["\udc00x"])",
           R"(["\uD800\uD800\n"])",
           R"(["\uDd1e\uD834"])",
       }) {
    EXPECT_NE(scan(text), JsonVerdict::kInvalid) << text;
    EXPECT_NE(scan(text), JsonVerdict::kTooDeep) << text;
  }
}

// What every parser must refuse.
TEST(JsonScan, RefusesAllElse) {
  for (const std::string_view text : {
           "",
           " ",
           "[1 true]",
           "[a\xe5]",
           "[\"\": 1]",
           "[\"\"],",
           "[,1]",
           "[1,,2]",
           "[\"x\",,]",
           "[\"x\"]]",
           "[\"\",]",
           "[\"x\"",
           "[x",
           "[3[4]]",
           "[\xff]",
           "[1:2]",
           "[,]",
           "[-]",
           "[   , \"\"]",
           "[\"a\",\n4\n,1,",
           "[1,]",
           "[1,,]",
           "[\"\va\"\\f]",
           "[*]",
           "[\"\"",
           "[1,\n1\n,1",
           "[{}",
           "[fals]",
           "[nul]",
           "[tru]",
           "[++1234]",
           "[+1]",
           "[+Inf]",
           "[-01]",
           "[-1.0.]",
           "[-2.]",
           "[-NaN]",
           "[.-1]",
           "[.2e-3]",
           "[0.1.2]",
           "[0.3e+]",
           "[0.3e]",
           "[0.e1]",
           "[0E+]",
           "[0E]",
           "[0e+]",
           "[0e]",
           "[1.0e+]",
           "[1.0e-]",
           "[1.0e]",
           "[1 000.0]",
           "[1eE2]",
           "[2.e+3]",
           "[2.e-3]",
           "[2.e3]",
           "[9.e+]",
           "[Inf]",
           "[NaN]",
           "[\xef\xbc\x91]",
           "[1+2]",
           "[0x1]",
           "[0x42]",
           "[Infinity]",
           "[0e+-1]",
           "[-123.123foo]",
           "[123\xe5]",
           "[1e1\xe5]",
           "[0\xe5]",
           "[-Infinity]",
           "[-foo]",
           "[- 1]",
           "[-012]",
           "[-.123]",
           "[-1x]",
           "[1ea]",
           "[1.]",
           "[.123]",
           "[1.2a-3]",
           "[1.8011670033376514H-308]",
           "[012]",
           "[\"x\", truth]",
           "{[: \"x\"}",
           R"({"x", null})",
           R"({"x"::"b"})",
           "{\xf0\x9f\x87\xa8}",
           R"({"a":"a" 123})",
           "{key: 'value'}",
           R"({"x":1,,"y":2})",
           R"({"a" b})",
           R"({:"b"})",
           R"({"a" "b"})",
           R"({"a":)",
           R"({"a")",
           "{1:1}",
           "{9999E9999:1}",
           "{null:null,null:null}",
           R"({"id":0,,,,,})",
           "{'a':0}",
           R"({"id":0,})",
           R"({"a":"b"}/**/)",
           R"({"a":"b"}/**//)",
           R"({"a":"b"}//)",
           R"({"a":"b"}/)",
           R"({"a":"b",,"c":"d"})",
           "{a: \"b\"}",
           R"({"a":"a)",
           R"({ "foo" : "bar", "a" })",
           R"({"a":"b"}#)",
           R"(["\uD800\"])",
           R"(["\uD800\u"])",
           R"(["\uD800\u1"])",
           R"(["\uD800\u1x"])",
           "[\xc3\xa9]",
           "[\"\\\x00\"]",
           R"(["\x00"])",
           R"(["\\\"])",
           "[\"\\\t\"]",
           "[\"\\\xf0\x9f\x8c\x80\"]",
           R"(["\"])",
           R"(["\u00A"])",
           R"(["\uD834\uDd"])",
           R"(["\uD800\uD800\x"])",
           "[\"\\u\xe5\"]",
           R"(["\a"])",
           R"(["\uqqqq"])",
           "[\"\\\xe5\"]",
           R"([\u0020"asd"])",
           "[\\n]",
           "\"",
           "['single quote']",
           "abc",
           "[\"\\",
           "[\"new\nline\"]",
           "[\"\t\"]",
           "\"\\UA66D\"",
           "\"\"x",
           "[\xe2\x81\xa0]",
           "\xef\xbb\xbf",
           "\xef\xbb\xbf{}",
           "<.>",
           "[<null>]",
           "[1]x",
           "[1]]",
           "[\"asd]",
           "a\xc3\xa5",
           "[True]",
           "1]",
           "{\"x\": true,",
           "[][]",
           "]",
           "{\"\":",
           "\xef\xbb\xbf\x7b\x7d",
           "\xe5",
           "[",
           "123\x01",
           "2@",
           "{}}",
           "{\"\":\"\",",
           "{\"a\":/*comment*/\"b\"}",
           "{\"a\": true} \"x\"",
           "['",
           "[,",
           "{",
           "{\"",
           "{,",
           "{[",
           "{\"a",
           "{'a'",
           "[\"\\{[\"\\{[\"\\{[\"\\{",
           "*",
           "{\"a\":\"b\"}#{}",
           "[\\u000A\"\"]",
           "[1",
           "[ false, nul",
           "[ true, fals",
           "[ false, tru",
           "{\"asd\":\"asd\"",
           "[\x0c]",
           "\xc2\x85[]",
           "\xc2\xa0[]",
           "{\"a\":1 \"b\":2}",
           "{\"a\":1]",
           "[1}",
           "nulL",
           "tru",
           "truee",
           "\"\x80\"",
           "\"\xc0\xaf\"",
           "\"\xed\xa0\x80\"",
           "\"\xf4\x90\x80\x80\"",
           "\"\xf0\x9f\x98",
           "\"\xf0\x9f\x98\"",
           "\"\xff\"",
           "\"\xe9\"",
           "\"\xc3\"",
           "1 2",
       }) {
    EXPECT_EQ(scan(text), JsonVerdict::kInvalid) << text;
  }
  EXPECT_EQ(scan(std::string_view("\0", 1)), JsonVerdict::kInvalid);
  EXPECT_EQ(scan(std::string_view("[1]\0", 4)), JsonVerdict::kInvalid);
  EXPECT_EQ(scan(std::string_view("\"a\0b\"", 5)), JsonVerdict::kInvalid);
  EXPECT_EQ(scan(std::string_view("[\"a\0a\"]", 7)), JsonVerdict::kInvalid);
}

TEST(JsonScan, ARefusedTextHasNoMessages) {
  EXPECT_EQ(split("[1,2,x]"), Messages{});
  EXPECT_EQ(split("[1,2] 3"), Messages{});
  EXPECT_EQ(split("[1," + repeat("[", kJsonDepthMax)), Messages{});
}

TEST(JsonScan, TheDepthLimitIsExact) {
  EXPECT_EQ(scan(repeat("[", kJsonDepthMax) + repeat("]", kJsonDepthMax)), JsonVerdict::kArray);
  EXPECT_EQ(scan(repeat("[", kJsonDepthMax + 1) + repeat("]", kJsonDepthMax + 1)),
            JsonVerdict::kTooDeep);
  const std::string deep = repeat("{\"a\":", kJsonDepthMax) + "1" + repeat("}", kJsonDepthMax);
  EXPECT_EQ(scan(deep), JsonVerdict::kValue);
  EXPECT_EQ(scan("{\"a\":" + deep + "}"), JsonVerdict::kTooDeep);
  EXPECT_EQ(scan(repeat("[", 100000)), JsonVerdict::kTooDeep);
  EXPECT_EQ(scan(repeat("{\"\":", 100000)), JsonVerdict::kTooDeep);
}

TEST(JsonScan, KnowsAtEveryDepthWhatIsOpen) {
  // Alternating containers, closed in the right and in one wrong order.
  const size_t pairs = kJsonDepthMax / 2;
  const std::string open = repeat("[{\"k\":", pairs);
  const std::string close = repeat("}]", pairs);
  EXPECT_EQ(scan(open + "0" + close), JsonVerdict::kArray);
  for (size_t i = 0; i < close.size(); ++i) {
    std::string wrong = close;
    wrong[i] = wrong[i] == '}' ? ']' : '}';
    ASSERT_EQ(scan(open + "0" + wrong), JsonVerdict::kInvalid) << i;
  }
}

// Strings are scanned 16 or eight bytes at a time: what ends one is found at every place in a
// block.
TEST(JsonScan, StringsEndWhereTheyEndAtEveryAlignment) {
  for (size_t before = 0; before < 36; ++before) {
    for (size_t after = 0; after < 36; ++after) {
      const std::string a(before, 'a');
      const std::string b(after, 'b');
      const auto text = [&](std::string_view middle) {
        return "\"" + a + std::string(middle) + b + "\"";
      };
      ASSERT_EQ(scan(text("")), JsonVerdict::kValue);
      ASSERT_EQ(scan(text("\\\"")), JsonVerdict::kValue);
      ASSERT_EQ(scan(text("\xc3\xa9")), JsonVerdict::kValue);
      ASSERT_EQ(scan(text("\x7f\x20\x21\x23\x5b\x5d")), JsonVerdict::kValue);
      ASSERT_EQ(scan(text("\x1f")), JsonVerdict::kInvalid);
      ASSERT_EQ(scan(text(std::string_view("\0", 1))), JsonVerdict::kInvalid);
      ASSERT_EQ(scan(text("\x80")), JsonVerdict::kInvalid);
      ASSERT_EQ(scan(text("\"")), JsonVerdict::kInvalid);
      ASSERT_EQ(scan(text("\\")), after == 0 || b[0] == 'b'
                                      ? (after == 0 ? JsonVerdict::kInvalid : JsonVerdict::kValue)
                                      : JsonVerdict::kInvalid);
    }
  }
}

TEST(JsonScan, EveryByteInAStringIsJudgedAlone) {
  for (int byte = 0; byte < 256; ++byte) {
    for (size_t at = 0; at < 16; ++at) {
      std::string text = "\"0123456789abcdef\"";
      text[1 + at] = static_cast<char>(byte);
      // A quote ends the string early; a backslash makes an escape of what follows, if it is one.
      bool valid = byte >= 0x20 && byte < 0x80 && byte != '"';
      if (byte == '\\') valid = text[2 + at] == 'b' || text[2 + at] == 'f' || text[2 + at] == '"';
      if (byte == '\\' && text[2 + at] == '"') valid = false;
      ASSERT_EQ(scan(text), valid ? JsonVerdict::kValue : JsonVerdict::kInvalid)
          << byte << "@" << at;
    }
  }
}

// --- Properties ----------------------------------------------------------------------------------

std::string random_blanks(tests::Random& random) {
  static constexpr std::string_view kBlanks[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
  return std::string(kBlanks[random.below(7)]);
}

std::string random_string(tests::Random& random) {
  static constexpr std::string_view kParts[] = {
      "a",           "[",       "]",   "{",       "}", ",",   ":",        "\\\"",
      "\\\\",        "\\u00e9", "\\n", "\\ud800", " ", "xyz", "\xc3\xa9", "\xf0\x9f\x98\x80",
      "longer text", "//",      "'"};
  std::string out = "\"";
  for (uint64_t n = random.below(6); n > 0; --n) out += kParts[random.below(19)];
  return out + "\"";
}

std::string random_value(tests::Random& random, int depth) {
  static constexpr std::string_view kScalars[] = {"0",    "-1.5e+3", "true",  "false",
                                                  "null", "1e400",   "12345", "-0"};
  const uint64_t kind = random.below(depth > 0 ? 4 : 2);
  if (kind == 0) return std::string(kScalars[random.below(8)]);
  if (kind == 1) return random_string(random);
  std::string out = kind == 2 ? "[" : "{";
  out += random_blanks(random);
  for (uint64_t n = random.below(4), i = 0; i < n; ++i) {
    if (i > 0) out += "," + random_blanks(random);
    if (kind == 3)
      out += random_string(random) + random_blanks(random) + ":" + random_blanks(random);
    out += random_value(random, depth - 1) + random_blanks(random);
  }
  return out + (kind == 2 ? "]" : "}");
}

TEST(JsonScan, SplitsWhatWasJoined) {
  tests::Random random(1);
  for (int round = 0; round < 3000; ++round) {
    Messages messages;
    std::string array = random_blanks(random) + "[";
    std::string stored;
    for (uint64_t n = random.below(5) + 1, i = 0; i < n; ++i) {
      messages.push_back(random_value(random, 4));
      if (i > 0) array += ",";
      array += random_blanks(random) + messages.back() + random_blanks(random);
      stored += messages.back() + ",";
    }
    array += "]" + random_blanks(random);
    ASSERT_EQ(scan(array), JsonVerdict::kArray) << array;
    ASSERT_EQ(split(array), messages) << array;
    for (const std::string& message : messages) {
      // Alone in an array, any value is the one message.
      ASSERT_EQ(split("[" + message + "]"), Messages{message});
    }

    uint64_t expected = 0;
    for (size_t count = 0; count <= messages.size(); ++count) {
      ASSERT_EQ(stored_json_prefix(stored, count), expected) << stored;
      if (count < messages.size()) expected += messages[count].size() + 1;
    }
    ASSERT_EQ(expected, stored.size());
    ASSERT_EQ(stored_json_prefix(stored, messages.size() + 1), std::nullopt);
  }
}

TEST(JsonScan, NoProperPrefixOfAContainerIsValid) {
  tests::Random random(2);
  for (int round = 0; round < 300; ++round) {
    const std::string text = "[" + random_value(random, 3) + "]";
    for (size_t length = 0; length < text.size(); ++length) {
      ASSERT_EQ(scan(std::string(text.substr(0, length))), JsonVerdict::kInvalid) << text;
    }
  }
}

TEST(JsonScan, SurvivesEveryMutationAndStaysConsistent) {
  const std::string_view text =
      R"( [ {"a\u00e9":[1,-2.5e+3,"x"]},"long enough for blocks",tru,null,[[]] ] )";
  tests::for_each_mutation(text, [](std::string_view input) {
    std::vector<JsonElement> elements;
    const JsonVerdict verdict = scan_json(input, elements);
    uint32_t end = 0;
    for (const JsonElement& e : elements) {
      ASSERT_LE(end, e.begin);
      ASSERT_LT(e.begin, e.end);
      end = e.end;
      // Each message is valid by itself.
      const auto message = input.substr(e.begin, e.end - e.begin);
      std::vector<JsonElement> inner;
      const JsonVerdict alone = scan_json(message, inner);
      ASSERT_NE(alone, JsonVerdict::kInvalid) << message;
    }
    ASSERT_LE(end, input.size());
    const bool has = verdict == JsonVerdict::kValue || verdict == JsonVerdict::kArray;
    ASSERT_EQ(!elements.empty(), has);
  });
}

TEST(StoredJsonPrefix, CountsMessagesNotCommas) {
  EXPECT_EQ(stored_json_prefix("", 0), 0u);
  EXPECT_EQ(stored_json_prefix("", 1), std::nullopt);
  const std::string_view stored = R"({"a":[1,2]},"x,\",y",[3,4],5,)";
  EXPECT_EQ(stored_json_prefix(stored, 0), 0u);
  EXPECT_EQ(stored_json_prefix(stored, 1), 12u);
  EXPECT_EQ(stored_json_prefix(stored, 2), 21u);
  EXPECT_EQ(stored_json_prefix(stored, 3), 27u);
  EXPECT_EQ(stored_json_prefix(stored, 4), stored.size());
  EXPECT_EQ(stored_json_prefix(stored, 5), std::nullopt);
  EXPECT_EQ(stored_json_prefix(stored, UINT64_MAX), std::nullopt);
}

TEST(StoredJsonPrefix, SurvivesTextThatIsNotWellFormed) {
  tests::for_each_mutation(R"({"a":[1,2]},"x,\",y",[3,4],5,)", [](std::string_view input) {
    const auto prefix = stored_json_prefix(input, 3);
    if (prefix) {
      ASSERT_LE(*prefix, input.size());
    }
  });
}

}  // namespace
}  // namespace ds::wire
