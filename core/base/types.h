// The tagged numbers every other file speaks in.
//
// Positions, lives and instants are all 64-bit integers; each has a type of its own so that the
// compiler refuses to mix them. `.value` is the only way out.
#pragma once

#include <compare>
#include <cstdint>

namespace ds {

// An absolute byte position in the stored form of a stream. Never moves back, never reused within
// one life. Ranges of positions are half-open: [begin, end).
struct Position {
  uint64_t value = 0;
  friend constexpr auto operator<=>(Position, Position) = default;
};
constexpr Position operator+(Position p, uint64_t bytes) { return Position{p.value + bytes}; }
// REQUIRES: b <= a.
constexpr uint64_t operator-(Position a, Position b) { return a.value - b.value; }

// One life of a stream: what tells two streams apart that were created at the same path one after
// the other. Unique in a data directory, never reused, and growing with time (at least the
// microseconds since the Unix epoch at its creation), so that it sorts. At most 16 decimal digits.
struct Incarnation {
  uint64_t value = 0;
  friend constexpr auto operator<=>(Incarnation, Incarnation) = default;
};

// An offset as clients see it (PROTOCOL §8): a position, and the life that it belongs to.
struct Offset {
  Incarnation life;
  Position position;
  friend constexpr auto operator<=>(Offset, Offset) = default;
};

// A length of time in microseconds.
struct Duration {
  int64_t us = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
};
constexpr Duration milliseconds(int64_t n) { return Duration{n * 1000}; }
constexpr Duration seconds(int64_t n) { return Duration{n * 1000000}; }

// A point in time: microseconds since the Unix epoch. Core never reads a clock: time arrives as a
// parameter `now`, which a host guarantees never to move back within one process.
struct Instant {
  int64_t us = 0;
  friend constexpr auto operator<=>(Instant, Instant) = default;
};
constexpr Instant operator+(Instant t, Duration d) { return Instant{t.us + d.us}; }
constexpr Duration operator-(Instant a, Instant b) { return Duration{a.us - b.us}; }
inline constexpr Instant kNever{INT64_MAX};

// Where a record starts in the op log: generation number in the high 32 bits, byte offset in that
// generation's file in the low 32. Grows with commit order.
struct LogPosition {
  uint64_t value = 0;
  friend constexpr auto operator<=>(LogPosition, LogPosition) = default;
  constexpr uint32_t generation() const { return static_cast<uint32_t>(value >> 32); }
  constexpr uint32_t byte_offset() const { return static_cast<uint32_t>(value); }
};
constexpr LogPosition log_position(uint32_t generation, uint32_t byte_offset) {
  return LogPosition{(static_cast<uint64_t>(generation) << 32) | byte_offset};
}
// REQUIRES: the result lies in the same generation.
constexpr LogPosition operator+(LogPosition p, uint32_t bytes) {
  return LogPosition{p.value + bytes};
}

}  // namespace ds
