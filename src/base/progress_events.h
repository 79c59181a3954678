// What long work says of itself while it goes on, for whoever listens besides the terminal: how far a bar is, an epoch's figures, a
// candidate of a search. One listener for the process; without one nothing is said.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"

namespace sightline {

// kind: "progress" {"what","done","total","seconds","note"} (of bars, about twice a second), "epoch", "candidate".
// Called from any thread, by one at a time; must not wait.
using ProgressListener = std::function<void(const std::string& kind, const Json& data)>;
void set_progress_listener(ProgressListener listener);
bool progress_is_heard();
void tell_progress(const std::string& kind, const Json& data);

}  // namespace sightline
