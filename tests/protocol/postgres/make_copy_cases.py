# SPDX-License-Identifier: Apache-2.0
"""Writes copy_cases.h: what a PostgreSQL 15 sends for COPY in many layouts. `make_copy_cases.py CONNINFO > copy_cases.h`"""

import sys

import psycopg

ROWS = [("plain", "x", 1), ("", "", None), (None, None, None), ("tab\there", "new\nline\r\n", -7),
        ("back\\slash", "\\N", 0), ("\\.", "N", 2), ('quo"te', "a,b;c|d$e", 3), ("\b\f\v\x01\x7f", "x\\tno tab", 4),
        ("naïve ☃ 𝄞", "null", 5), ('"', '""', 6), ("'", "\\", 7), (" lead", "trail ", 8), ("\\,", ',"', 9), ("$", "$$", 10),
        ("NULL", "[redacted]", 11), ("\n", "\r", 12)]
# options, then format delimiter quote escape null header forced single
CASES = [
    ("", "text", "\t", '"', '"', "\\N", False, False),
    ("(DELIMITER '|', NULL '')", "text", "|", '"', '"', "", False, False),
    ("(DELIMITER E'\\x01', NULL 'null')", "text", "\x01", '"', '"', "null", False, False),
    ("(DELIMITER 'N', NULL '', HEADER)", "text", "N", '"', '"', "", True, False),
    ("WITH DELIMITER AS ',' NULL AS '\\\\N'", "text", ",", '"', '"', "\\\\N", False, False),
    ("(FORMAT csv)", "csv", ",", '"', '"', "", False, False),
    ("(FORMAT csv, HEADER, FORCE_QUOTE *)", "csv", ",", '"', '"', "", True, True),
    ("(FORMAT csv, QUOTE '$', ESCAPE '\\', DELIMITER ';', NULL 'NULL')", "csv", ";", "$", "\\", "NULL", False, False),
    ("CSV HEADER QUOTE AS '''' DELIMITER E'\\t' NULL '\\N'", "csv", "\t", "'", "'", "\\N", True, False),
    ("(FORMAT csv, ESCAPE ',')", "csv", ",", '"', ",", "", False, False),
    ("(FORMAT binary)", "binary", "\t", '"', '"', "\\N", False, False),
]


def literal(data):
    """As a C++ string_view; None as nothing."""
    if data is None:
        return "std::nullopt"
    data = data.encode() if isinstance(data, str) else data
    return '"' + "".join(f"\\{b:03o}" if b < 32 or b > 126 or chr(b) in '"\\?' else chr(b) for b in data) + '"sv'


def main():
    connection = psycopg.connect(sys.argv[1])
    connection.execute("CREATE TEMP TABLE t (a text, b text, n int)")
    connection.cursor().executemany("INSERT INTO t VALUES (%s, %s, %s)", ROWS)
    print("// SPDX-License-Identifier: Apache-2.0\n// Made by make_copy_cases.py from a PostgreSQL "
          f"{connection.info.server_version // 10000}: do not edit.\n// clang-format off")
    for table, columns in (("t", ROWS), ("(SELECT a FROM t)", [row[:1] for row in ROWS])):
        for options, kind, delimiter, quote, escape, null, header, forced in CASES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT {options}".encode()) as copy:
                wire = b"".join(bytes(data) for data in copy)
            print(f'{{R"(COPY {table} TO STDOUT {options})", {{CopyLayout::Format::{kind}, '
                  f"{literal(delimiter)[:-2].replace(chr(34), chr(39)) if delimiter != chr(34) else repr(delimiter)}, "
                  f"'\\{ord(quote):03o}', '\\{ord(escape):03o}', {literal(null)[:-2]}, {str(header).lower()}}}, "
                  f"{str(forced).lower()}, {len(columns[0])},\n {literal(wire)}}},")


main()
