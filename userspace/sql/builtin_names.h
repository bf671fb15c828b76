// SPDX-License-Identifier: Apache-2.0
// What a fresh PostgreSQL 15 has in pg_catalog, as data: blank-separated names, and sets made of them.
#pragma once

#include <string_view>

namespace sallyport::sql {

extern const std::string_view kPureFunctionNames;
extern const std::string_view kImpureFunctionNames;
extern const std::string_view kTypeNames;
extern const std::string_view kOperatorNames;
extern const std::string_view kSystemRelationNames;

bool is_builtin_impure_function(std::string_view name);
bool is_builtin_type(std::string_view name);
bool is_builtin_operator(std::string_view name);
/// Functions of pg_catalog that give sets: how many rows come depends on their arguments.
bool returns_set(std::string_view name);
/// Functions of pg_catalog that show statements of others, or files: nobody can tell what is in them.
bool shows_anything(std::string_view name);
/// Functions of pg_catalog that leave something behind which a later call can tell, though they count as harmless.
bool does_something(std::string_view name);
bool is_system_relation(std::string_view name);

}  // namespace sallyport::sql
