// SPDX-License-Identifier: Apache-2.0
// What is wrong with a policy is said at its line and column, with the word that was meant.
#include <gtest/gtest.h>

#include <algorithm>

#include "sallyport/base/limits.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

/// Findings of a file `p.yaml`, one a line.
std::string findings(const std::string& text, LoadOptions options = kOptions) {
  auto loaded = load({{"p.yaml", text}}, options);
  return all_findings(loaded ? loaded->warnings : loaded.error());
}

struct Row {
  std::string_view text, expected;
};

/// One document each, given from its third line (`metadata`) on; so line 4 is `spec`.
void check(std::string_view kind, std::string_view context, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const std::string text = fmt::format("apiVersion: sallyport.dev/v1alpha1\nkind: {}\nmetadata: {{name: x}}\n{}\n{}",
                                         kind, row.text, context);
    EXPECT_EQ(findings(text), row.expected.empty() ? "" : fmt::format("p.yaml:{}\n", row.expected)) << text;
  }
}

TEST(Errors, Envelope) {
  const Row kRows[] = {
      {"", ""},
      {"# nothing\n---\n", ""},
      {"[a]", "1:1: error: a document is a list, not a map; its keys: apiVersion, kind, metadata, spec"},
      {"hello", "1:1: error: a document is `hello`, not a map; its keys: apiVersion, kind, metadata, spec"},
      {"apiVersion: v1\nkind: Mask\nmetadata: {name: m}\nspec: {detect: [{type: email, with: redact}]}",
       "1:13: error: apiVersion cannot be `v1`; known: sallyport.dev/v1alpha1"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Agnet\nmetadata: {name: m}\nspec: {}",
       "2:7: error: kind cannot be `Agnet`; did you mean `Agent`?"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Role\nmetadata: {name: m}\nspec: {}",
       "2:7: error: kind cannot be `Role`; known: Agent, Target, Mask, Entitlement, Detector, Issuer"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: Pii}\nspec: {detect: [{type: email, with: "
       "redact}]}",
       "3:18: error: metadata.name cannot be `Pii`; names are lower-case letters, digits and inner hyphens, at most "
       "63"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {nam: pii}\nspec: {detect: [{type: email, with: "
       "redact}]}",
       "3:11: error: metadata lacks `name`\np.yaml:3:12: error: unknown key `nam` in metadata; did you mean `name`?"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: m}", "1:1: error: a document lacks `spec`"},
      {"apiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: m}\nspecs: {}",
       "1:1: error: a document lacks `spec`\np.yaml:4:1: error: unknown key `specs` in a document; did you mean "
       "`spec`?"},
  };
  for (const Row& row : kRows)
    EXPECT_EQ(findings(std::string(row.text)), row.expected.empty() ? "" : fmt::format("p.yaml:{}\n", row.expected))
        << row.text;
}

TEST(Errors, Yaml) {
  const Row kRows[] = {
      {"a: 1\nb: 2\na: 3", "3:1: error: duplicate key `a`; keep one of them"},
      {"a: {b: 1, b: 2}", "1:11: error: duplicate key `b`; keep one of them"},
      {"a: &x 1", "1:7: error: an anchor is not used in policy; write the value out"},
      {"a: *x", "1:5: error: an alias is not used in policy; write the value out"},
      {"a: !!str x", "1:10: error: a tag is not used in policy; write the value out"},
      {"a: [1, 2", "2:1: error: not YAML: flow sequence without a closing bracket"},
      {"a: b: c", "1:5: error: not YAML: invalid nested block mapping on the same line"},
      {"{}: 1", "1:1: error: a key must be a word"},
      {"a: \"x\x01\"", "1:6: error: a control character; policy files are plain UTF-8 text"},
      {"a: 1\nb: \xff", "2:4: error: not UTF-8; policy files are plain UTF-8 text"},
      {"a: \xe2\x80\xae", "1:4: error: a control character; policy files are plain UTF-8 text"},
      {"a: \xc0\x80", "1:4: error: not UTF-8; policy files are plain UTF-8 text"},
      {"a: \xed\xa0\x80", "1:4: error: not UTF-8; policy files are plain UTF-8 text"},
  };
  for (const Row& row : kRows)
    EXPECT_EQ(findings(std::string(row.text)), fmt::format("p.yaml:{}\n", row.expected)) << row.text;
}

TEST(Errors, Agents) {
  check(
      "Agent", "",
      {
          {"spec: {}", "4:7: error: spec of an Agent lacks `workload`"},
          {"spec: {workload: []}", "4:18: error: workload is an empty list; leave the key out, or fill it"},
          {"spec: {workload: exec}", "4:18: error: workload is `exec`, not a list; write [exec]"},
          {"spec: {workload: [{exe: x}]}", "4:20: error: unknown key `exe` in a workload; did you mean `exec`?"},
          {"spec: {workload: [{exec: x, cgroup: /x}]}",
           "4:19: error: a workload has exactly one key; write - exec: NAME or - docker: {name: NAME}"},
          {"spec: {workload: [{exec: X y}]}",
           "4:26: error: exec cannot be `X y`; names are lower-case letters, digits and inner hyphens, at most 63"},
          {"spec: {workload: [{exec: {users: [a]}}]}", "4:26: error: exec lacks `name`"},
          {"spec: {workload: [{exec: {name: x, user: [a]}}]}",
           "4:36: error: unknown key `user` in exec; did you mean `users`?"},
          {"spec: {workload: [{exec: {name: x, users: a}}]}", "4:43: error: exec.users is `a`, not a list; write [a]"},
          {"spec: {workload: [{exec: {name: x, users: [[a]]}}]}", "4:44: error: exec.users is a list, not a text"},
          {"spec: {workload: [{cgroup: bots}]}",
           "4:28: error: cgroup is `bots`, not an absolute path; begin it with `/`"},
          {"spec: {workload: [{cgroup: /a/../b}]}",
           "4:28: error: cgroup cannot be `/a/../b`; write a path below the cgroup2 root, as in "
           "/bots.slice/billing.service or /bots/*"},
          {"spec: {workload: [{docker: web}]}",
           "4:28: error: docker is `web`, not a map; its keys: name, image, labels, id, user"},
          {"spec: {workload: [{docker: {}}]}", "4:28: error: docker says nothing; it would be every one there is"},
          {"spec: {workload: [{docker: {nmae: web}}]}",
           "4:29: error: unknown key `nmae` in docker; did you mean `name`?"},
          {"spec: {workload: [{docker: {labels: [a]}}]}", "4:37: error: labels is a list, not a map; write {app: web}"},
          {"spec: {workload: [{docker: {image: a//b}}]}",
           "4:36: error: image: `a//b` is no image; write it as in registry.example.com/bots/*"},
          {"spec: {workload: [{podman: {name: []}}]}",
           "4:35: error: name is an empty list; leave the key out, or fill it"},
          {"spec: {workload: [{kubernetes: {namespace: [[a]]}}]}", "4:45: error: namespace is a list, not a text"},
          {"spec: {workload: [{systemd: {unti: a}}]}",
           "4:30: error: unknown key `unti` in systemd; did you mean `unit`?"},
          {"spec: {workload: [{exec: x}], minLevel: gaurded}",
           "4:41: error: minLevel cannot be `gaurded`; did you mean `guarded`?"},
          {"spec: {workload: [{exec: x}], loopback: true}",
           "4:41: error: loopback cannot be `true`; known: local, divert"},
          {"spec: {workload: [{exec: x}], owner: }", "4:31: error: owner is nothing, not a text"},
          {"spec: {workload: [{exec: x}], tokens: {issuer: corp}}",
           "4:31: error: unknown key `tokens` in spec of an Agent; did you mean `token`?"},
      });
}

TEST(Errors, Targets) {
  const auto with = [](std::string_view rest) {
    return fmt::format("spec: {{protocol: postgres, hosts: ['a:1'], {}}}", rest);
  };
  std::vector<std::string> texts;
  std::vector<Row> rows = {
      {"spec: {hosts: ['a:1']}", "4:7: error: spec of a Target lacks `protocol`"},
      {"spec: {protocol: postgresql, hosts: ['a:1']}",
       "4:18: error: protocol cannot be `postgresql`; did you mean `postgres`?"},
      {"spec: {protocol: postgres}", "4:7: error: spec of a Target lacks `hosts`"},
      {"spec: {protocol: postgres, hosts: [db.internal]}",
       "4:36: error: hosts: `db.internal` lacks a port; write db.internal:5432, 10.2.0.0/16:5432 or [fd00::1]:5432"},
      {"spec: {protocol: postgres, hosts: ['fd00::1:5432']}",
       "4:36: error: hosts: `fd00::1:5432` lacks a port; write db.internal:5432, 10.2.0.0/16:5432 or [fd00::1]:5432"},
      {"spec: {protocol: postgres, hosts: ['a:0']}",
       "4:36: error: hosts: `a:0`: the port must be 1 to 65535; write db.internal:5432, 10.2.0.0/16:5432 or "
       "[fd00::1]:5432"},
      {"spec: {protocol: postgres, hosts: ['10.2.0.1/16:5432']}",
       "4:36: error: hosts: `10.2.0.1/16` has bits set behind its prefix; write db.internal:5432, 10.2.0.0/16:5432 or "
       "[fd00::1]:5432"},
      {"spec: {protocol: postgres, hosts: ['10.2.0.999:5432']}",
       "4:36: error: hosts: `10.2.0.999` is not an IP address; write db.internal:5432, 10.2.0.0/16:5432 or "
       "[fd00::1]:5432"},
      {"spec: {protocol: postgres, hosts: ['*.internal:5432']}",
       "4:36: error: hosts: `*.internal`: a host name cannot be a pattern; list the names, or an address prefix"},
      {"spec: {protocol: postgres, hosts: ['a:1', 'a:1']}",
       "4:43: error: `a:1` is listed twice: in Target `x` and Target `x`; the other one stands at p.yaml:4:36"},
  };
  const std::pair<std::string_view, std::string_view> kRest[] = {
      {"tls: {mode: verify}",
       "4:56: error: tls.mode cannot be `verify`; known: disable, allow, prefer, require, verify-ca, verify-full"},
      {"tls: {mode: verify_full, agent: off}",
       "4:56: error: tls.mode cannot be `verify_full`; did you mean `verify-full`?"},
      {"tls: {mode: disable, ca: /x}",
       "4:69: error: tls.ca is not used with tls.mode disable; leave it out, or set mode: verify-full"},
      {"tls: {ca: x}", "4:54: error: tls.ca is `x`, not an absolute path; begin it with `/`"},
      {"credential: {file: /a, verifier: /b}",
       "4:56: error: a credential has exactly one key; write credential: {file: /path} or credential: {verifier: "
       "/path}"},
      {"auth: {min: scram}", "4:56: error: auth.min cannot be `scram`; known: none, password, md5, scram-sha-256"},
      {"catalogue: {}", "4:55: error: catalogue lacks `credential`"},
      {"catalogue: {credential: {file: x}}",
       "4:75: error: catalogue.credential.file is `x`, not an absolute path; begin it with `/`"},
      {"catalogue: {credential: {file: /x}}",
       "4:55: warning: with tls.mode prefer the catalogue's credential goes only to a server that speaks TLS and asks "
       "for "
       "scram-sha-256 with channel binding; set tls: {mode: verify-full}; where the server cannot do this, the agent's "
       "connection is asked instead"},
      {"record: {rows: -1}", "4:59: error: record.rows is `-1`, not a whole number from 0 to 1000000"},
      {"record: {rows: '5'}", "4:59: error: record.rows is `5`, not a whole number from 0 to 1000000"},
      {"masks: [pii]", "4:52: error: no Mask is named `pii`; there is no Mask at all"},
      {"databases: [a.b]", "4:56: error: databases: `a.b`: 2 parts where the name has one; write it as in `invoices`"},
      {"database: [a]", "4:44: error: unknown key `database` in spec of a Target; did you mean `databases`?"},
  };
  for (const auto& [rest, expected] : kRest) texts.push_back(with(rest));
  for (size_t i = 0; i < texts.size(); ++i) rows.push_back({texts[i], kRest[i].second});
  check("Target", "", rows);
}

TEST(Errors, TlsOnBothLegsNeedsALogin) {
  const std::string_view hint =
      "; give the Target a credential: {file: /path} or credential: {verifier: /path}, or set tls.agent: off (the "
      "agent's leg never leaves its "
      "network namespace)";
  const std::string error =
      fmt::format("4:51: error: TLS on both legs and no credential or verifier: stock libpq cannot log in{}", hint);
  const std::string warning = fmt::format(
      "4:51: warning: TLS on both legs, when the agent asks for it, and no credential or verifier: stock libpq cannot "
      "log in{}",
      hint);
  check("Target", "",
        {
            {"spec: {protocol: postgres, hosts: ['a:1'], tls:   {mode: verify-full, agent: require}}", error},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls:   {mode: require}}", warning},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls:   {mode: verify-ca, agent: allow}}", warning},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls:   {mode: verify-full, agent: off}}", ""},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls:   {mode: disable, agent: require}}", ""},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls: {mode: verify-full, agent: require}, credential: {file: "
             "/x}}",
             ""},
            {"spec: {protocol: postgres, hosts: ['a:1'], tls: {mode: verify-full, agent: require}, credential: "
             "{verifier: /x}}",
             ""},
        });
}

TEST(Errors, Masks) {
  check(
      "Mask", "",
      {
          {"spec: {}", "4:7: error: a Mask without columns, detect or keys masks nothing"},
          {"spec: {columns: [{column: customers.email, with: redact}]}",
           "4:27: error: column: `customers.email`: 2 parts where the name has another number; write it as in "
           "`public.customers.email`"},
          {"spec: {columns: [{column: public.*.email, with: redact}]}",
           "4:27: error: column: `public.*.email`: a mask names one column, not a pattern; write one entry for each "
           "column"},
          {"spec: {columns: [{column: public.c.email, with: redcat}]}",
           "4:49: error: with cannot be `redcat`; did you mean `redact`?"},
          {"spec: {columns: [{column: public.c.email}]}", "4:18: error: a masked column lacks `with`"},
          {"spec: {columns: [{column: public.c.email, with: hash}]}",
           "4:49: error: hash needs a key; write {hash: {key: NAME}}"},
          {"spec: {columns: [{column: public.c.email, with: {hash: {key: k}}}]}",
           "4:62: error: no mask key is named `k`; there is no mask key at all"},
          {"spec: {keys: [{name: key1, file: /k}], columns: [{column: public.c.email, with: {hash: {key: kye1}}}]}",
           "4:94: error: no mask key is named `kye1`; did you mean `key1`?"},
          {"spec: {columns: [{column: public.c.email, with: fixed}]}",
           "4:49: error: fixed needs its text; write {fixed: \"text\"}"},
          {"spec: {columns: [{column: public.c.email, with: {partial: {keepLast: many}}}]}",
           "4:70: error: partial.keepLast is `many`, not a whole number from 0 to 64"},
          {"spec: {columns: [{column: public.c.email, with: {partial: {keep: 4}}}]}",
           "4:59: error: partial lacks `keepLast`\np.yaml:4:60: error: unknown key `keep` in partial; known: keepLast"},
          {"spec: {columns: [{column: public.c.email, with: {partial: {keepLast: 4}, fixed: x}}]}",
           "4:49: error: `with` has exactly one strategy; write {partial: {keepLast: 4}}"},
          {"spec: {columns: [{column: public.c.email, with: redact, predicates: yes}]}",
           "4:69: error: predicates cannot be `yes`; known: refuse, allow"},
          {"spec: {detect: [{type: e-mail, with: redact}]}",
           "4:24: error: type cannot be `e-mail`; did you mean `email`?"},
          {"spec: {keys: [{name: k, file: k.key}]}",
           "4:31: error: keys.file is `k.key`, not an absolute path; begin it with `/`"},
      });
}

TEST(Errors, Entitlements) {
  const std::string context = fmt::format("---{}", kAgentAndTarget);
  std::vector<std::string> texts;
  const std::pair<std::string_view, std::string_view> kRest[] = {
      {"", "4:7: error: an Entitlement without allow, hold, deny or masks says nothing"},
      {"alow: [{sql: {}}]",
       "4:7: error: an Entitlement without allow, hold, deny or masks says nothing\np.yaml:4:32: error: unknown key "
       "`alow` in spec of an Entitlement; did you mean `allow`?"},
      {"allow: {sql: {}}", "4:39: error: allow is a map, not a list"},
      {"allow: [sql]", "4:40: error: a rule is `sql`, not a map; its keys: sql, http, process"},
      {"allow: [{sqll: {}}]", "4:41: error: unknown key `sqll` in a rule; did you mean `sql`?"},
      {"allow: [{}]", "4:40: error: a rule has exactly one protocol key; write - sql: {statements: [select]}"},
      {"allow: [{sql: [select]}]",
       "4:46: error: a sql rule is a list, not a map; its keys: tables, columns, functions, schemas, types, databases, "
       "roles, settings, files, programs, channels, objects, statements, access"},
      {"allow: [{sql: {statement: [select]}}]",
       "4:47: error: unknown key `statement` in a sql rule; did you mean `statements`?"},
      {"allow: [{sql: {statements: select}}]", "4:59: error: statements is `select`, not a list; write [select]"},
      {"allow: [{sql: {statements: [selct]}}]",
       "4:60: error: a statement class cannot be `selct`; did you mean `select`?"},
      {"allow: [{sql: {statements: [SELECT]}}]",
       "4:60: error: a statement class cannot be `SELECT`; did you mean `select`?"},
      {"allow: [{sql: {tables: []}}]", "4:55: error: tables is an empty list; leave the key out, or fill it"},
      {"allow: [{sql: {tables: [invoices]}}]",
       "4:56: error: tables: `invoices`: 1 part where the name has two; write it as in `public.customers`"},
      {"allow: [{sql: {columns: [customers.ssn]}}]",
       "4:57: error: columns: `customers.ssn`: 2 parts where the name has another number; write it as in "
       "`public.customers.email`"},
      {"allow: [{sql: {files: [a.csv]}}]",
       "4:55: error: files: `a.csv`: not an absolute path; write it as in `/var/lib/exports/**`"},
      {"allow: [{sql: {access: [reed]}}]", "4:56: error: access cannot be `reed`; did you mean `read`?"},
      {"allow: [{sql: {}}], masks: [pii]", "4:60: error: no Mask is named `pii`; there is no Mask at all"},
      {"allow: [{sql: {}}], baseline: off", "4:62: error: baseline cannot be `off`; known: default, none"},
      {"allow: [{sql: {}}], window: {}", "4:60: error: a window without from or until; leave it out, or say when"},
      {"allow: [{sql: {}}], window: {from: yesterday}",
       "4:67: error: window.from is `yesterday`, not a time; write 2026-11-01 (its first moment, UTC) or "
       "2026-11-01T09:30:00Z"},
      {"allow: [{sql: {}}], window: {from: 2026-02-30}",
       "4:67: error: window.from is `2026-02-30`, not a time; write 2026-11-01 (its first moment, UTC) or "
       "2026-11-01T09:30:00Z"},
      {"allow: [{sql: {}}], window: {from: 2026-11-02, until: 2026-11-01}",
       "4:86: error: window.until is not after window.from"},
      {"allow: [{sql: {}}], review: {by: a, at: 2026-11-01}", "4:60: error: review lacks `expires`"},
      {"allow: [{sql: {}}], review: {by: a, at: 2026-11-02, expires: 2026-11-01}",
       "4:93: error: review.expires is not after review.at"},
      {"allow: [{sql: {}}], limits: [{count: rows, max: 5}]", "4:61: error: a limit lacks `per`"},
      {"allow: [{sql: {}}], limits: [{count: rows, max: 5, per: 1y}]",
       "4:88: error: per is `1y`, not a length of time; write 30s, 15m, 1h or 7d"},
      {"allow: [{sql: {}}], limits: [{count: row, max: 5, per: 1h}]",
       "4:69: error: count cannot be `row`; did you mean `rows`?"},
  };
  for (const auto& [rest, expected] : kRest) texts.push_back(fmt::format("spec: {{agent: bot, target: db, {}}}", rest));
  std::vector<Row> rows;
  for (size_t i = 0; i < texts.size(); ++i) rows.push_back({texts[i], kRest[i].second});
  rows.push_back({"spec: {agent: bto, target: db, allow: [{sql: {}}]}",
                  "4:15: error: no Agent is named `bto`; did you mean `bot`?"});
  rows.push_back({"spec: {agent: bot, target: bd, allow: [{sql: {}}]}",
                  "4:28: error: no Target is named `bd`; did you mean `db`?"});
  rows.push_back({"spec: {agent: bot, allow: [{sql: {}}]}", "4:7: error: spec of an Entitlement lacks `target`"});
  check("Entitlement", context, rows);
}

TEST(Errors, DuplicateNames) {
  const std::string again = std::string(kAgentAndTarget) + "---" + std::string(kAgentAndTarget);
  EXPECT_EQ(findings(again),
            "p.yaml:14:18: error: duplicate Agent `bot`; the other one stands at p.yaml:4:18\n"
            "p.yaml:15:26: error: duplicate workload exec `bot`; the other one stands at p.yaml:5:26\n"
            "p.yaml:19:18: error: duplicate Target `db`; the other one stands at p.yaml:9:18\n"
            "p.yaml:20:36: error: `10.0.0.5:5432` is listed twice: in Target `db` and Target `db`; the other one "
            "stands at p.yaml:10:36; give them `databases` or `users` that differ\n");
  EXPECT_EQ(
      findings(document("Agent", "a", "workload: [{cgroup: /x}]") + document("Agent", "b", "workload: [{cgroup: /x}]")),
      "p.yaml:10:28: error: duplicate workload `cgroup /x`; the other one stands at p.yaml:5:28\n");
  EXPECT_EQ(findings(document("Mask", "a", "keys: [{name: k, file: /a}]") +
                     document("Mask", "b", "keys: [{name: k, file: /b}]")),
            "p.yaml:10:22: error: duplicate mask key `k`; the other one stands at p.yaml:5:22\n");
}

TEST(Errors, TargetsOfTheSameHostMustDifferInside) {
  const auto two = [](std::string_view a, std::string_view b) {
    return findings(document("Target", "a", fmt::format("protocol: postgres, hosts: ['10.0.0.5:5432']{}", a)) +
                    document("Target", "b", fmt::format("protocol: postgres, hosts: ['10.0.0.5:5432']{}", b)));
  };
  const std::string error =
      "p.yaml:10:36: error: `10.0.0.5:5432` is listed twice: in Target `a` and Target `b`; the other one stands at "
      "p.yaml:5:36; give them `databases` or `users` that differ\n";
  EXPECT_EQ(two("", ""), error);
  EXPECT_EQ(two(", databases: [x, y]", ", databases: [y, x]"), error);
  EXPECT_EQ(two(", databases: [x]", ", databases: [y]"), "");
  EXPECT_EQ(two(", databases: [x, y]", ", databases: [y, z]"), "") << "x and z tell them apart";
  EXPECT_EQ(two(", databases: [x], users: [u]", ", databases: [x], users: [v]"), "");
  EXPECT_EQ(two(", databases: [x]", ""),
            "p.yaml:10:36: warning: Target `a` is never chosen at `10.0.0.5:5432`: what it lists fits Target `b` as "
            "well; give `b` `databases` or `users` without those of `a`\n");
}

TEST(Errors, TheSameNameForTwoKindsIsFine) {
  EXPECT_EQ(findings(document("Agent", "x", "workload: [{exec: x}]") +
                     document("Target", "x", "protocol: postgres, hosts: ['a:1']")),
            "");
}

TEST(Errors, AcrossFilesTheOtherPlaceIsNamed) {
  const auto loaded = load({{"a.yaml", document("Agent", "x", "workload: [{exec: x}]")},
                            {"b.yaml", document("Agent", "x", "workload: [{exec: y}]")}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(all_findings(loaded.error()),
            "b.yaml:4:18: error: duplicate Agent `x`; the other one stands at a.yaml:4:18\n");
}

TEST(Errors, UnreachableRules) {
  const auto of = [&](std::string_view rules) {
    return findings(std::string(kAgentAndTarget) + entitlement("e", rules));
  };
  const auto shadowed = [](std::string_view column, std::string_view deny, std::string_view rule, std::string_view at) {
    return fmt::format(
        "p.yaml:15:{}: error: unreachable: `e.{}` denies everything that `e.{}` matches; remove one of them; the deny "
        "stands at p.yaml:15:{}\n",
        column, deny, rule, at);
  };
  EXPECT_EQ(of("allow: [{sql: {tables: [public.a]}}], deny: [{sql: {tables: [public.*]}}]"),
            shadowed("40", "deny[0]", "allow[0]", "77"));
  EXPECT_EQ(of("deny: [{sql: {}}], allow: [{sql: {statements: [select]}}]"),
            shadowed("59", "deny[0]", "allow[0]", "39"));
  EXPECT_EQ(of("deny: [{sql: {statements: [drop]}}], hold: [{sql: {statements: [drop], tables: [public.a]}}]"),
            shadowed("76", "deny[0]", "hold[0]", "39"));
  EXPECT_EQ(of("allow: [{sql: {statements: [unknown]}}], deny: [{sql: {statements: [drop]}}]"),
            shadowed("40", "deny[0]", "allow[0]", "80"))
      << "no deny can be ruled out for the unknown";
  EXPECT_EQ(of("allow: [{sql: {tables: [public.a, app.b]}}], deny: [{sql: {tables: [public.*]}}]"), "");
  EXPECT_EQ(of("allow: [{sql: {tables: [public.a]}}], deny: [{sql: {tables: [public.a], columns: [ssn]}}]"), "");
  EXPECT_EQ(of("allow: [{sql: {tables: [public.a]}}], deny: [{sql: {tables: [public.a], access: [write]}}]"), "");
  EXPECT_EQ(of("allow: [{sql: {statements: [select]}}], deny: [{sql: {functions: ['**']}}]"), "");
}

TEST(Errors, UnreachableAcrossEntitlements) {
  EXPECT_EQ(findings(std::string(kAgentAndTarget) + entitlement("a", "deny: [{sql: {}}]") +
                     entitlement("b", "allow: [{sql: {}}]")),
            "p.yaml:20:40: error: unreachable: `a.deny[0]` denies everything that `b.allow[0]` matches; remove one of "
            "them; the deny stands at p.yaml:15:39\n");
}

TEST(Warnings, AnEntitlementInThePast) {
  constexpr int64_t k2027 = 1'798'761'600'000'000'000;
  const std::string base(kAgentAndTarget);
  LoadOptions now = kOptions;
  now.wall_ns = k2027;
  EXPECT_EQ(
      findings(base + entitlement("e", "allow: [{sql: {}}], review: {by: a, at: 2026-01-01, expires: 2026-11-01}"),
               now),
      "p.yaml:14:18: warning: Entitlement `e` grants nothing: its review expired at 2026-11-01T00:00:00.000Z: review "
      "it again; its denies and masks stay in force\n");
  EXPECT_EQ(findings(base + entitlement("e", "allow: [{sql: {}}], window: {until: 2026-11-01}"), now),
            "p.yaml:14:18: warning: Entitlement `e` grants nothing: grants nothing since 2026-11-01T00:00:00.000Z; its "
            "denies and masks stay in force\n");
  EXPECT_EQ(findings(base + entitlement("e", "allow: [{sql: {}}], window: {from: 2028-11-01}"), now), "");
}

TEST(Warnings, ARevealThatLiftsNothing) {
  EXPECT_EQ(findings(std::string(kAgentAndTarget) + entitlement("e", "allow: [{sql: {}}], reveal: [m]") +
                     document("Mask", "m", "detect: [{type: email, with: redact}]")),
            "p.yaml:15:61: warning: reveal `m` lifts nothing: Target `db` has no such mask; a mask that an Entitlement "
            "adds is not lifted by another one\n");
}

TEST(Errors, AllMistakesOfOneRunAreShownInOrder) {
  const auto found =
      findings(entitlement("e", "allow: [{sql: {tabels: [x.y], statements: [slect]}}], deny: [{sql: {tables: [t]}}]"));
  EXPECT_EQ(std::count(found.begin(), found.end(), '\n'), 5) << found;
}

TEST(Limits, FindingsAreBounded) {
  std::string text = "[";
  for (int i = 0; i < 500; ++i) text += fmt::format("k{}: 1, ", i);
  text.front() = '{';
  const auto loaded = load({{"p.yaml", text + "}"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().size(), limits::kPolicyFindingsMax + 1);
  EXPECT_EQ(loaded.error().back().message, "404 more findings are not shown");
}

TEST(Limits, FileSizeDocumentsNestingAndValues) {
  EXPECT_EQ(findings(std::string(limits::kPolicyFileBytesMax + 1, '#')),
            "p.yaml:1:1: error: larger than 4194304 bytes; split the file\n");
  EXPECT_EQ(findings(std::string(limits::kPolicyFileBytesMax, '#')), "");
  std::string deep(limits::kPolicyDepthMax + 1, '[');
  EXPECT_EQ(findings(deep), fmt::format("p.yaml:1:{}: error: nested deeper than 32\n", limits::kPolicyDepthMax + 1));
  EXPECT_TRUE(findings(std::string(4'000'000, '[')).starts_with("p.yaml:1:33: error: nested deeper"));
  std::string many;
  for (size_t i = 0; i <= limits::kPolicyDocumentsMax; ++i) many += "--- 1\n";
  const auto loaded = load({{"p.yaml", many}});
  ASSERT_FALSE(loaded);
  std::vector<Source> wide(3);
  static_assert(3 * 400'000 > limits::kPolicyNodesMax);
  for (Source& source : wide) {
    source = {"p.yaml", "["};
    for (int i = 0; i < 400'000; ++i) source.text += "1,";
    source.text += "]";
  }
  const auto too_wide = load(wide);
  ASSERT_FALSE(too_wide);
  EXPECT_NE(all_findings(too_wide.error()).find("more than 1000000 values"), std::string::npos);
}

TEST(Limits, EntitlementsOfOneScope) {
  std::string text(kAgentAndTarget);
  for (size_t i = 0; i <= limits::kPolicyScopeEntitlementsMax; ++i)
    text += entitlement(fmt::format("e{}", i), "allow: [{sql: {}}]");
  EXPECT_NE(findings(text).find("more than 256 Entitlements for one agent on one target; join their rules"),
            std::string::npos);
}

TEST(Loading, ABadPolicyIsNeverHalfLoaded) {
  const auto loaded = load({{"a.yaml", std::string(kAgentAndTarget)}, {"b.yaml", "kind: ["}});
  EXPECT_FALSE(loaded);
}

TEST(Loading, JsonWorksToo) {
  const auto policy = load_text(
      R"({"apiVersion": "sallyport.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "j"},
        "spec": {"workload": [{"exec": "j"}]}})");
  ASSERT_TRUE(policy);
  EXPECT_NE(policy->find_agent("j"), nullptr);
}

}  // namespace
}  // namespace sallyport::policy
