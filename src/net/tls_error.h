// Small things of OpenSSL that the files of TLS share.
#pragma once

#include <string>

struct x509_st;

namespace millrace::net {

// The reason of the first error in this thread's queue of OpenSSL's errors, which is empty then.
std::string TakeTlsError();

// SHA-256 of a certificate in hexadecimal digits.
std::string FingerprintOf(const x509_st& certificate);

}  // namespace millrace::net
