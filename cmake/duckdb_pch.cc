// Gives the shared precompiled header a library to belong to.
