#include "server/mailbox.h"

namespace ds::server {

void Mail::clear() {
  to_engine.clear();
  answers.clear();
  commits.clear();
  loads.clear();
  sealed_reads.clear();
  finds.clear();
  sockets.clear();
  tasks.clear();
}

}  // namespace ds::server
