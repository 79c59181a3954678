// Ctrl-C and SIGTERM ask the running work to stop at its next safe point; a second Ctrl-C ends the program at once.
#pragma once

#include "base/result.h"

namespace sightline {

// Once, at the start of main.
void install_interrupt_handlers();
bool interrupt_requested();
void request_interrupt();  // what the handler does; tests call it
void clear_interrupt();
// Error interrupted when asked to stop.
Result<void> check_interrupt();

}  // namespace sightline
