#include "core/wire/errors.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string_view>

namespace ds::wire {
namespace {

// The codes and statuses that clients rely on. A code never changes its meaning; a new one is added
// here, in the table and in docs/http-api.md.
const std::map<ErrorCode, std::pair<std::string_view, int>> kPublished = {
    {ErrorCode::kInvalidPath, {"invalid_path", 400}},
    {ErrorCode::kInvalidQuery, {"invalid_query", 400}},
    {ErrorCode::kInvalidOffset, {"invalid_offset", 400}},
    {ErrorCode::kOffsetRequired, {"offset_required", 400}},
    {ErrorCode::kInvalidHeader, {"invalid_header", 400}},
    {ErrorCode::kRepeatedHeader, {"repeated_header", 400}},
    {ErrorCode::kMissingContentType, {"missing_content_type", 400}},
    {ErrorCode::kInvalidContentType, {"invalid_content_type", 400}},
    {ErrorCode::kEmptyBody, {"empty_body", 400}},
    {ErrorCode::kInvalidJson, {"invalid_json", 400}},
    {ErrorCode::kEmptyArray, {"empty_array", 400}},
    {ErrorCode::kJsonTooDeep, {"json_too_deep", 400}},
    {ErrorCode::kInvalidTtl, {"invalid_ttl", 400}},
    {ErrorCode::kInvalidExpiresAt, {"invalid_expires_at", 400}},
    {ErrorCode::kTtlAndExpiresAt, {"ttl_and_expires_at", 400}},
    {ErrorCode::kInvalidRetention, {"invalid_retention", 400}},
    {ErrorCode::kIncompleteProducer, {"incomplete_producer", 400}},
    {ErrorCode::kInvalidProducer, {"invalid_producer", 400}},
    {ErrorCode::kNewEpochNotAtZero, {"new_epoch_not_at_zero", 400}},
    {ErrorCode::kInvalidForkOffset, {"invalid_fork_offset", 400}},
    {ErrorCode::kForkOffsetBeyondTail, {"fork_offset_beyond_tail", 400}},
    {ErrorCode::kInvalidForkSubOffset, {"invalid_fork_sub_offset", 400}},
    {ErrorCode::kForkSubOffsetBeyondMessage, {"fork_sub_offset_beyond_message", 400}},
    {ErrorCode::kForkHeaderWithoutSource, {"fork_header_without_source", 400}},
    {ErrorCode::kInvalidForkSource, {"invalid_fork_source", 400}},
    {ErrorCode::kInvalidListing, {"invalid_listing", 400}},
    {ErrorCode::kReservedPath, {"reserved_path", 404}},
    {ErrorCode::kProducerFenced, {"producer_fenced", 403}},
    {ErrorCode::kNotFound, {"not_found", 404}},
    {ErrorCode::kForkSourceNotFound, {"fork_source_not_found", 404}},
    {ErrorCode::kMethodNotAllowed, {"method_not_allowed", 405}},
    {ErrorCode::kRequestTimeout, {"request_timeout", 408}},
    {ErrorCode::kStreamExists, {"stream_exists", 409}},
    {ErrorCode::kPathHeld, {"path_held", 409}},
    {ErrorCode::kStreamClosed, {"stream_closed", 409}},
    {ErrorCode::kContentTypeMismatch, {"content_type_mismatch", 409}},
    {ErrorCode::kSequenceGap, {"sequence_gap", 409}},
    {ErrorCode::kSequenceRegression, {"sequence_regression", 409}},
    {ErrorCode::kStreamDeleted, {"stream_deleted", 410}},
    {ErrorCode::kForkSourceDeleted, {"fork_source_deleted", 409}},
    {ErrorCode::kOffsetGone, {"offset_gone", 410}},
    {ErrorCode::kOffsetTrimmed, {"offset_trimmed", 410}},
    {ErrorCode::kPreconditionFailed, {"precondition_failed", 412}},
    {ErrorCode::kBodyTooLarge, {"body_too_large", 413}},
    {ErrorCode::kUriTooLong, {"uri_too_long", 414}},
    {ErrorCode::kExpectationFailed, {"expectation_failed", 417}},
    {ErrorCode::kHeadersTooLarge, {"headers_too_large", 431}},
    {ErrorCode::kLengthRequired, {"length_required", 411}},
    {ErrorCode::kMalformedRequest, {"malformed_request", 400}},
    {ErrorCode::kTooManyStreams, {"too_many_streams", 429}},
    {ErrorCode::kInternal, {"internal", 500}},
    {ErrorCode::kNotImplemented, {"not_implemented", 501}},
    {ErrorCode::kHttpVersion, {"http_version", 505}},
    {ErrorCode::kTooManyReaders, {"too_many_readers", 503}},
    {ErrorCode::kOverloaded, {"overloaded", 503}},
    {ErrorCode::kStorageFailed, {"storage_failed", 503}},
    {ErrorCode::kStorageFull, {"storage_full", 507}},
    {ErrorCode::kDiskLimit, {"disk_limit", 507}},
    {ErrorCode::kCorruptData, {"corrupt_data", 500}},
    {ErrorCode::kShuttingDown, {"shutting_down", 503}},
};

TEST(Errors, EveryCodeIsPublishedWithItsStatus) {
  for (int i = 1; i < static_cast<int>(ErrorCode::kCount); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const auto published = kPublished.find(code);
    ASSERT_NE(published, kPublished.end()) << error_info(code).code;
    EXPECT_EQ(error_info(code).code, published->second.first);
    EXPECT_EQ(error_info(code).status, published->second.second) << error_info(code).code;
  }
}

TEST(Errors, CodesAreDistinctAndSentencesAreSentences) {
  std::set<std::string_view> codes;
  for (int i = 1; i < static_cast<int>(ErrorCode::kCount); ++i) {
    const ErrorInfo& info = error_info(static_cast<ErrorCode>(i));
    EXPECT_TRUE(codes.insert(info.code).second) << info.code;
    EXPECT_EQ(info.code.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
    ASSERT_FALSE(info.sentence.empty()) << info.code;
    EXPECT_EQ(info.sentence.back(), '.') << info.code;
  }
}

TEST(ErrorsDeathTest, NoErrorHasNoText) {
  EXPECT_DEATH((void)error_info(ErrorCode::kNone), "assertion");
}

}  // namespace
}  // namespace ds::wire
