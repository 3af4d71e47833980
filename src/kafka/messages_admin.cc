#include "kafka/compiled_messages.h"

namespace millrace::kafka {

MILLRACE_KAFKA_ADMIN_MESSAGES(MILLRACE_KAFKA_COMPILE)

}  // namespace millrace::kafka
