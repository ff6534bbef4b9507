# Completion of deployer for fish. Written by: deployer completion fish

function __deployer_complete
    set -l line (commandline -cp)
    set -l word (commandline -ct)
    set -l answer (env COMP_WORDS="$line" COMP_CWORD="$word" _DEPLOYER_COMPLETE=fish_complete \
        deployer 2>/dev/null </dev/null)
    # The file is the value of an option: --plan=FILE
    set -l option (string match --regex -- '^--[^=]*=' $word)
    set -l path (string replace -- "$option" '' "$word")
    for item in $answer
        set -l parts (string split --max 1 -- , $item)
        switch $parts[1]
            case dir
                for each in (__fish_complete_directories "$path")
                    printf '%s\n' "$option$each"
                end
            case file
                for each in (__fish_complete_path "$path")
                    printf '%s\n' "$option$each"
                end
            case plain
                printf '%s\n' $parts[2]
        end
    end
end

complete --command deployer --no-files --keep-order --arguments '(__deployer_complete)'
