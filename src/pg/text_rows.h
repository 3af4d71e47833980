// A result of texts, made by hand. Pure function.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sql/database.h"

namespace millrace::pg {

// REQUIRES: as many texts in each row as there are names.
std::shared_ptr<const sql::QueryResult> TextRows(const std::vector<std::string>& names,
                                                 const std::vector<std::vector<std::string>>& rows);

}  // namespace millrace::pg
