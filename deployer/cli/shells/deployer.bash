# Completion of deployer for bash 4.4 and newer. Written by: deployer completion bash

_deployer_completion() {
    local IFS=$'\n' answer type value with_files=
    local -a files
    COMPREPLY=()
    # The word at the cursor ($2) is a part of the argument, as bash splits at = and : too.
    answer=$(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" _DEPLOYER_COMPLETE=bash_complete \
        "${1/#\~/$HOME}" 2>/dev/null </dev/null)
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file)
                with_files=yes
                compopt -o default
                ;;
            plain)
                COMPREPLY+=("$value")
                case $value in
                    *[=.,]) compopt -o nospace ;;
                esac
                ;;
        esac
    done <<<"$answer"
    # The default is asked for only without other values.
    if [[ $with_files && ${#COMPREPLY[@]} -gt 0 ]]; then
        mapfile -t files < <(compgen -f -- "$2")
        COMPREPLY+=("${files[@]}")
        compopt -o filenames
    fi
}

complete -o nosort -F _deployer_completion deployer
