// The version of both programs; part of every lineage.
#pragma once

namespace sightline {

inline constexpr const char* version = SIGHTLINE_VERSION;  // set by CMake from project(VERSION)

}  // namespace sightline
