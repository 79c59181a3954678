// What this process may still do once it has started: read files and answer. Hostile bytes that take over a decoder find no network, no
// other program to start and no file to change.
#pragma once

namespace sightline::video {

// Limits of memory, no core dump, no files of its own; a filter of system calls, where the kernel has them. Ends the process when its
// standard input is closed by the other side.
void enter_sandbox();

}  // namespace sightline::video
