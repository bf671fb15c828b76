// SPDX-License-Identifier: Apache-2.0
#include "cli/completion.h"

#include <fmt/core.h>

#include <CLI/App.hpp>

namespace sallyport::cli {
namespace {

/// One case for each verb path: `"sallyport policy") words="check test …" ;;`
void add_cases(const CLI::App& app, const CLI::App& top, const std::string& path, std::string& out) {
  std::string words;
  auto add_options = [&](const CLI::App& of) {
    for (const CLI::Option* option : of.get_options()) {
      for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
    }
  };
  for (const CLI::App* verb : app.get_subcommands({})) words += verb->get_name() + " ";
  add_options(app);
  if (&app != &top) words += "--socket --output ";
  for (const CLI::App* verb : app.get_subcommands({})) add_cases(*verb, top, path + " " + verb->get_name(), out);
  out += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, words);
}

constexpr std::string_view kBashHead = R"(# sallyport completion for bash: source <(sallyport completion bash)
_sallyport() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path=sallyport word words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${COMP_WORDS[i]}"
    # Behind exec's -- stands another command: complete that.
    if [[ $word == -- ]]; then
      COMPREPLY=($(compgen -c -f -- "$current"))
      return
    fi
    if [[ $word =~ ^[a-z]+$ && " ${_sallyport_paths} " == *" ${path// /\/}/$word "* ]]; then path="$path $word"; fi
  done
  case "$previous" in
    -o|--output) COMPREPLY=($(compgen -W "text json" -- "$current")); return ;;
    --policy|--state|--records|--socket|--run-dir) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$path" in
)";
constexpr std::string_view kBashTail = R"(  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ $path == "sallyport policy "* && ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _sallyport sallyport
)";

void add_paths(const CLI::App& app, const std::string& path, std::string& out) {
  for (const CLI::App* verb : app.get_subcommands({})) {
    const std::string below = path + "/" + verb->get_name();
    out += below + " ";
    add_paths(*verb, below, out);
  }
}

}  // namespace

std::string completion_script(const CLI::App& app, std::string_view shell) {
  if (shell != "bash" && shell != "zsh") return {};
  std::string paths, cases;
  add_paths(app, "sallyport", paths);
  add_cases(app, app, "sallyport", cases);
  std::string script = fmt::format("_sallyport_paths=\"{}\"\n{}{}{}", paths, kBashHead, cases, kBashTail);
  if (shell == "zsh") script = "#compdef sallyport\nautoload -U +X bashcompinit && bashcompinit\n" + script;
  return script;
}

}  // namespace sallyport::cli
