// How many streams there may be, over all engines of a server.
#pragma once

namespace ds::engine {

// Implemented by the host, as engines on several threads share it.
class StreamQuota {
 public:
  virtual ~StreamQuota() = default;
  // Room for a stream that is about to be created. False: there is none.
  [[nodiscard]] virtual bool take() = 0;
  // The same for a stream that is found in the log at recovery: it is there, room or not.
  virtual void take_anyway() = 0;
  // A stream is gone, or has not come to be.
  virtual void give_back() = 0;
};

}  // namespace ds::engine
