// SPDX-License-Identifier: Apache-2.0
#include "cli/arguments.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "cli/completion.h"
#include "cli/output.h"
#include "cli/roles.h"
#include "cli/verbs.h"
#include "sallyport/launch/exec.h"

namespace sallyport::cli {
namespace {

/// Holds what the options write to, and the verb that was chosen.
class Parser {
 public:
  Parser();
  int run(std::vector<std::string> words);

 private:
  using Verb = std::function<int()>;
  CLI::App& add(CLI::App& to, const char* name, const char* what, const char* example, Verb verb);
  void add_daemon();
  void add_exec();
  void add_state_verbs();
  void add_token(CLI::App& group);
  void add_policy();
  void add_mask();
  void add_schema(CLI::App& verb);
  void add_sessions();
  void add_completion();
  int start_daemon();
  int complete();

  CLI::App app_{"Sallyport: what automation agents may do, decided and recorded on the node", "sallyport"};
  Verb verb_;
  Common common_;
  std::string output_ = "text";
  daemon::DaemonOptions daemon_;
  std::vector<std::string> roles_;
  ExecArguments exec_;
  std::string agent_;
  PolicyArguments policy_;
  TokenArguments token_;
  MaskArguments mask_;
  SessionsArguments sessions_;
  DoctorArguments doctor_;
  std::string shell_;
};

Parser::Parser() {
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.set_version_flag("--version", SALLYPORT_VERSION);
  app_.add_option("--socket", common_.socket, "the daemon's control socket")
      ->envname("SALLYPORT_SOCKET")
      ->capture_default_str();
  app_.add_option("-o,--output", output_, "tables for people, JSON for programs")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app_.footer(
      "exit codes: 0 done, 1 refused or found something, 2 used wrongly;\n"
      "exec: the command's own, 125 our failure, 126 not executable, 127 not found\n"
      "example: sallyport exec --agent billing-bot -- psql -h db.internal invoices");
  add_daemon();
  add_exec();
  add_state_verbs();
  add_policy();
  add_mask();
  add_sessions();
  add_completion();
}

CLI::App& Parser::add(CLI::App& to, const char* name, const char* what, const char* example, Verb verb) {
  CLI::App& added = *to.add_subcommand(name, what);
  added.fallthrough();
  added.footer(std::string("example: ") + example);
  // Of nested verbs the innermost runs last, and stays.
  if (verb) added.final_callback([this, verb = std::move(verb)] { verb_ = verb; });
  return added;
}

void Parser::add_daemon() {
  CLI::App& verb = add(app_, "daemon", "run the node daemon in the foreground",
                       "sudo sallyport daemon --policy /etc/sallyport/policy --role viewer=@auditors",
                       [this] { return start_daemon(); });
  verb.add_option("--policy", daemon_.policy_dir, "folder of policy files")->capture_default_str();
  verb.add_option("--state", daemon_.state_dir, "folder of records and keys")->capture_default_str();
  verb.add_option("--run-dir", daemon_.run_dir, "folder of sockets")->capture_default_str();
  verb.add_option("--cgroup-root", daemon_.cgroup2_root, "mount point of cgroup2; else found");
  verb.add_option("--bpffs", daemon_.bpffs_root, "mount point of bpffs")->capture_default_str();
  verb.add_option("--govern", daemon_.governed,
                  "a cgroup below the cgroup2 root: in it connects of what is no agent's are refused");
  verb.add_option("--kubelet-root", daemon_.kubelet_roots, "kubelet's --cgroup-root, besides /")->capture_default_str();
  verb.add_option("--workers", daemon_.workers, "threads; 0: one a processor")->capture_default_str();
  verb.add_option("--log-level", daemon_.log_level)
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}))
      ->capture_default_str();
  verb.add_option("--role", roles_, "give a role: viewer|operator|approver|admin=USER,@GROUP,…");
}

void Parser::add_exec() {
  CLI::App& verb = add(app_, "exec", "run a command as an agent on this host: exec --agent NAME -- CMD [ARG …]",
                       "sallyport exec --agent billing-bot -- psql -h db.internal invoices",
                       [this] { return run_exec(common_, exec_); });
  verb.add_option("--agent", exec_.agent, "name in policy")->required();
  verb.add_option("--token-file", exec_.token_file, "where its token is, if policy asks for one");
  verb.add_flag("--allow-root", exec_.allow_root, "as uid 0: it keeps the machine's files and other users' names");
}

void Parser::add_state_verbs() {
  add(app_, "status", "what the daemon does", "sallyport status -o json", [this] { return run_status(common_); });
  CLI::App& agents = add(app_, "agents", "agents in policy and their workloads", "sallyport agents",
                         [this] { return agent_.empty() ? run_agents(common_) : run_agent_show(common_, agent_); });
  CLI::App& show = add(agents, "show", "one agent, and why a workload is not its own",
                       "sallyport agents show billing-bot", [this] { return run_agent_show(common_, agent_); });
  show.add_option("name", agent_, "name in policy")->required();
  CLI::App& doctor = add(app_, "doctor", "what this machine can and cannot do", "sudo sallyport doctor",
                         [this] { return run_doctor(common_, doctor_); });
  doctor.add_option("--policy", doctor_.policy, "folder of policy files")->capture_default_str();
  doctor.add_option("--state", doctor_.state, "folder of records")->capture_default_str();
}

void Parser::add_schema(CLI::App& verb) {
  verb.add_option("--schema", policy_.schema, "what names mean: a file of CREATE statements or of pg_dump, or `live`");
  verb.add_option("--dsn", policy_.dsn, "for --schema live: where pg_dump asks; else PGHOST and its kin count");
}

void Parser::add_policy() {
  CLI::App& group =
      add(app_, "policy", "write, check, test and explain policy", "sallyport policy check ./policy", nullptr);
  group.require_subcommand(1);
  CLI::App& fresh =
      add(group, "new", "print a first policy for an agent and a database",
          "sallyport policy new --agent billing-bot --target postgres://db.internal/invoices > billing.yaml",
          [this] { return run_policy_new(policy_); });
  fresh.add_option("--agent", policy_.agent, "name of the agent")->required();
  fresh.add_option("--target", policy_.target, "postgres://host[:port]/database")->required();
  CLI::App& check = add(group, "check", "find what is wrong in a folder or file", "sallyport policy check ./policy",
                        [this] { return run_policy_check(common_, policy_); });
  check.add_option("path,--policy", policy_.path, "folder or file")->capture_default_str();
  CLI::App& test = add(group, "test", "run the *.test.yaml of a folder", "sallyport policy test ./policy",
                       [this] { return run_policy_test(common_, policy_); });
  test.add_option("path,--policy", policy_.path, "folder or file")->capture_default_str();
  add_schema(test);
  CLI::App& explain =
      add(group, "explain", "say what policy makes of a statement, and why",
          "sallyport policy explain --policy ./policy --agent billing-bot --target invoices-db 'SELECT 1'",
          [this] { return run_policy_explain(common_, policy_); });
  explain.add_option("--policy", policy_.path, "folder or file")->capture_default_str();
  explain.add_option("--agent", policy_.agent)->required();
  explain.add_option("--target", policy_.target)->required();
  CLI::Option* statement = explain.add_option("statement", policy_.sql, "SQL text");
  explain.add_option("--http", policy_.http, "a request instead: \"GET /v1/invoices\"")->excludes(statement);
  explain.add_option("--workload", policy_.workload, "as `sallyport agents show` names it");
  auto* issuer = explain.add_option("--issuer", policy_.issuer, "of its token");
  explain.add_option("--subject", policy_.subject, "of its token")->needs(issuer);
  explain.add_option("--exe", policy_.exe, "path of the process's executable, for rules with `process`");
  explain.add_option("--sha256", policy_.sha256, "of the executable");
  explain.add_option("--uid", policy_.uid, "of the process");
  explain.add_option("--gid", policy_.gid, "of the process");
  add_schema(explain);
  add(group, "reload", "make the daemon read its policy now", "sudo sallyport policy reload",
      [this] { return run_policy_reload(common_); });
  add_token(group);
}

void Parser::add_token(CLI::App& group) {
  CLI::App& verb = add(group, "token", "what a token says, which Agent it leads to, and why not",
                       "sallyport policy token /var/run/secrets/tokens/sallyport --policy ./policy --jwks keys.json",
                       [this] { return run_policy_token(common_, token_); });
  verb.add_option("file", token_.file, "file with the token; - is standard input")->required();
  verb.add_option("--policy", token_.policy, "folder or file")->capture_default_str();
  verb.add_option("--now", token_.now, "judge it at this time: 2026-11-01T09:30:00Z, or seconds since 1970");
  verb.add_option("--jwks", token_.jwks, "file with the issuer's keys; else the `jwks` of its Issuer");
}

void Parser::add_mask() {
  CLI::App& group = add(app_, "mask", "try what masks find", "sallyport mask test < texts.jsonl", nullptr);
  group.require_subcommand(1);
  CLI::App& test =
      add(group, "test", "text or JSON lines on standard input: what they would become",
          "echo 'call +1 415 555 0132' | sallyport mask test --detect phone,email\n"
          "         sallyport mask test --masks masks.yaml < dump.jsonl\n"
          "         psql -Atc 'SELECT note FROM tickets' | sallyport mask test -o json\n"
          "-o json prints one object a finding: line (from 1), path (in JSON input), type, name, start, end\n"
          "(UTF-8 bytes of the line, or of the text at path), score, strategy.\n"
          "Input that begins with { is JSON lines: texts in it are masked, all else stays.",
          [this] { return run_mask_test(common_, mask_); });
  auto* masks = test.add_option("--masks,--policy", mask_.masks, "file or folder with Masks and Detectors");
  masks->expected(1);
  test.add_option("--detect", mask_.detect, "types, with commas between; default: all, or all of --masks")
      ->delimiter(',');
  test.add_option("--with", mask_.with, "strategy without --masks")
      ->check(CLI::IsMember({"redact", "partial", "null"}))
      ->capture_default_str();
  test.add_option("--regions", mask_.regions, "countries for phone: US,DE")->delimiter(',');
  test.add_option("--min-score", mask_.score_min, "0 to 1, instead of each type's own (0.5: strong evidence)")
      ->check(CLI::Range(0.0, 1.0));
}

void Parser::add_sessions() {
  CLI::App& group = add(app_, "sessions", "what agents did", "sallyport sessions list", nullptr);
  group.require_subcommand(1);
  auto add_records = [this](CLI::App& verb) {
    verb.add_option("--records", sessions_.records, "read this folder, do not ask the daemon");
  };
  CLI::App& list = add(group, "list", "sessions, the newest last", "sallyport sessions list --agent billing-bot",
                       [this] { return run_sessions_list(common_, sessions_); });
  list.add_option("--agent", sessions_.agent);
  list.add_option("--target", sessions_.target);
  list.add_option("--limit", sessions_.limit, "at most so many")->capture_default_str();
  list.add_flag("--denied", sessions_.denied_only, "only those with a refusal");
  add_records(list);
  CLI::App& show = add(group, "show", "one session: every operation, decision, cause", "sallyport sessions show 01J9Z3",
                       [this] { return run_sessions_show(common_, sessions_); });
  show.add_option("session", sessions_.id, "id, or its beginning")->required();
  add_records(show);
  CLI::App& replay = add(group, "replay", "one session as it went by", "sallyport sessions replay --speed 10 01J9Z3",
                         [this] { return run_sessions_replay(common_, sessions_); });
  replay.add_option("session", sessions_.id, "id, or its beginning")->required();
  replay.add_option("--speed", sessions_.speed, "so many times faster; 0 does not wait")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_records(replay);
}

void Parser::add_completion() {
  CLI::App& verb = add(app_, "completion", "print a completion script for a shell",
                       "source <(sallyport completion bash)", [this] { return complete(); });
  verb.add_option("shell", shell_, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
}

int Parser::complete() {
  print(completion_script(app_, shell_));
  return kDone;
}

int Parser::start_daemon() {
  for (const std::string& text : roles_) {
    auto binding = parse_role_binding(text);
    if (!binding) {
      print_error(binding.error());
      return kUsage;
    }
    daemon_.roles.push_back(std::move(*binding));
  }
  if (app_.get_option("--socket")->count() > 0) daemon_.control_socket = common_.socket;
#ifdef SALLYPORT_WITH_DAEMON
  return daemon::run_daemon(daemon_);
#else
  print_error({"this build has no daemon", "build userspace/daemon"});
  return kFound;
#endif
}

int Parser::run(std::vector<std::string> words) {
  // What stands behind exec's `--` is another program's business.
  const bool exec = std::ranges::find(words, "exec") != words.end();
  const auto mark = std::ranges::find(words, "--");
  if (exec && mark != words.end()) {
    exec_.command.assign(mark + 1, words.end());
    words.erase(mark, words.end());
  }
  std::ranges::reverse(words);  // as CLI11 takes them
  try {
    app_.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    const int code = app_.exit(error);
    if (code == 0) return kDone;  // --help, --version
    return exec ? launch::kExitFailed : kUsage;
  }
  common_.json = output_ == "json";
  return verb_ ? verb_() : kUsage;
}

}  // namespace

int run(int count, char** values) {
  Parser parser;
  return parser.run({values + 1, values + count});
}

}  // namespace sallyport::cli
