/*
 * ampctl completion: scripts for shells, each of which asks complete_words().
 */

#include <stdio.h>
#include <string.h>

#include "ampctl.h"
#include "complete.h"
#include "nearest.h"


static const char  completion_bash[] =
    "# completion of ampctl for bash; made by: ampctl completion bash\n"
    "\n"
    "_ampctl() {\n"
    "    local line\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        if [ \"$line\" = :file ]; then\n"
    "            compopt -o default 2> /dev/null\n"
    "        else\n"
    "            COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
    "        fi\n"
    "    done < <(\"${COMP_WORDS[0]}\" " COMPLETE_COMMAND
    " \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2> /dev/null)\n"
    "}\n"
    "\n"
    "complete -F _ampctl ampctl\n";


/* In fpath the file is the function itself; otherwise it defines one. */

static const char  completion_zsh[] =
    "#compdef ampctl\n"
    "# completion of ampctl for zsh; made by: ampctl completion zsh\n"
    "\n"
    "_ampctl() {\n"
    "    local line word\n"
    "    local -a offers\n"
    "    for line in \"${(@f)$(\"${words[1]}\" " COMPLETE_COMMAND
    " \"${(@)words[2,CURRENT]}\" 2> /dev/null)}\"; do\n"
    "        if [[ $line == :file ]]; then\n"
    "            _files\n"
    "            return\n"
    "        elif [[ -n $line ]]; then\n"
    "            word=${line%%$'\\t'*}\n"
    "            offers+=(\"${word//:/\\\\:}:${line#*$'\\t'}\")\n"
    "        fi\n"
    "    done\n"
    "    _describe ampctl offers\n"
    "}\n"
    "\n"
    "if [[ ${funcstack[1]} == _ampctl ]]; then\n"
    "    _ampctl \"$@\"\n"
    "else\n"
    "    compdef _ampctl ampctl\n"
    "fi\n";


static const char  completion_fish[] =
    "# completion of ampctl for fish; made by: ampctl completion fish\n"
    "\n"
    "function __ampctl_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l last (commandline -ct)\n"
    "    set -l offers ($words[1] " COMPLETE_COMMAND
    " $words[2..-1] \"$last\" 2> /dev/null)\n"
    "    if contains -- :file $offers\n"
    "        __fish_complete_path \"$last\"\n"
    "    else\n"
    "        printf '%s\\n' $offers\n"
    "    end\n"
    "end\n"
    "\n"
    "complete -c ampctl -f -a '(__ampctl_complete)'\n";


static const struct {
    const char  *shell;
    const char  *script;
} completions[] = {
    { "bash", completion_bash },
    { "fish", completion_fish },
    { "zsh", completion_zsh }
};


static int
completion_run(ctl_t *ctl)
{
    char         near[NEAREST_MAX];
    size_t       i;
    nearest_t    nearest;
    const char  *shell;

    shell = ctl->args[0];
    nearest_begin(&nearest, shell);

    for (i = 0; i < sizeof(completions) / sizeof(completions[0]); i++) {
        if (strcmp(completions[i].shell, shell) == 0) {

            if (ctl->json) {
                return output_json(json_pack("{s:s, s:s}", "shell", shell,
                                             "script", completions[i].script));
            }

            fputs(completions[i].script, stdout);
            return CTL_DONE;
        }

        nearest_try(&nearest, completions[i].shell);
    }

    ctl_error(&ctl->error, CTL_USAGE, "usage", "there is no completion for "
              "\"%s\"%s", shell, nearest_text(&nearest, near));

    return ctl_remedy(&ctl->error, "give one of bash, fish, zsh");
}


const ctl_command_t  ctl_completion_commands[] = {

    { "completion", NULL, "SHELL", "print a completion script for a shell",
      "For bash, fish or zsh. The Debian package installs all three. For this\n"
      "shell alone, and for good:\n"
      "  source <(ampctl completion bash)\n"
      "  ampctl completion bash > completion-of-ampctl.bash\n"
      "  ampctl completion fish > ampctl.fish\n"
      "  ampctl completion zsh > _ampctl",
      NULL, completion_run },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
