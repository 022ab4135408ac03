# bash completion for bpfctl: the program itself knows what may come next.
#
# Words are told apart by blanks alone, as the program gets them, though COMP_WORDBREAKS has colons and equals signs.
_bpfctl() {
    local line=${COMP_LINE:0:COMP_POINT} entry word left
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    local current=${words[-1]}
    left=
    [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] && left=${current%"${current##*:}"}
    [[ $COMP_WORDBREAKS == *=* && ${current#"$left"} == *=* ]] && left=$left${current#"$left"} && left=${left%"${left##*=}"}
    COMPREPLY=()
    while IFS= read -r entry; do
        if [[ $entry == :files ]]; then
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
            continue
        fi
        word=${entry%%$'\t'*}
        [[ $word == *[:/=,] ]] && compopt -o nospace 2>/dev/null
        word=${word#"$left"}
        # Where candidates are listed, what they are is listed too.
        [[ $entry == *$'\t'* && $COMP_TYPE == 63 ]] && word+="  (${entry#*$'\t'})"
        COMPREPLY+=("$word")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    # A single one is inserted, and so without what it is.
    ((${#COMPREPLY[@]} == 1)) && COMPREPLY=("${COMPREPLY[0]%%  (*}")
    return 0
}
complete -F _bpfctl bpfctl
