// The 22 queries of TPC-H with the specification's validation parameters (section 2.4).
//
// Where they are not the published text: an ORDER BY with LIMIT goes on with the other columns,
// since SQL leaves open which of equal rows it takes; one without LIMIT is left out, since a view
// is a set; the view of q15 is a WITH.
#pragma once

#include <string>
#include <vector>

namespace millrace::tpch {

// q1, q2, …
std::vector<std::string> Queries(double scale);

}  // namespace millrace::tpch
