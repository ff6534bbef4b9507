#compdef deployer
# Completion of deployer for zsh. Written by: deployer completion zsh

_deployer() {
    local -a words_before answer plain described open open_described
    local program type value help
    program=${~${(Q)words[1]}}
    whence -p -- "$program" >/dev/null || program=deployer
    words_before=("${(@)words[1,CURRENT-1]}" "$PREFIX")
    answer=("${(@f)$(COMP_WORDS="${(j: :)words_before}" COMP_CWORD=$((CURRENT - 1)) \
        _DEPLOYER_COMPLETE=zsh_complete "$program" 2>/dev/null </dev/null)}")

    for type value help in "${answer[@]}"; do
        case $type in
            dir) _path_files -/ ;;
            file)
                # The file is the value of an option: --plan=FILE
                [[ $PREFIX == --*=* ]] && compset -P 1 '*='
                _path_files
                ;;
            plain)
                # A value is still open after these: no space follows.
                if [[ $value == *[=.,] ]]; then
                    if [[ $help == _ ]]; then open+=("$value"); else open_described+=("$value:$help"); fi
                elif [[ $help == _ ]]; then
                    plain+=("$value")
                else
                    described+=("$value:$help")
                fi
                ;;
        esac
    done

    (( $#described )) && _describe -V described described -U
    (( $#plain )) && compadd -U -V plain -a plain
    (( $#open_described )) && _describe -V open_described open_described -U -S ''
    (( $#open )) && compadd -U -V open -S '' -a open
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    # A file of fpath.
    _deployer "$@"
else
    # eval or source.
    compdef _deployer deployer
fi
