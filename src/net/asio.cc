// The implementation of Boost.Asio, compiled once (asio.h declares it for everybody).
#include "net/asio.h"

#include <boost/asio/impl/src.hpp>
