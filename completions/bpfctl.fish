# fish completion for bpfctl: the program itself knows what may come next.
function __bpfctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for entry in ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        if test "$entry" = :files
            __fish_complete_path "$current"
        else
            echo $entry
        end
    end
end
complete -c bpfctl -f -a '(__bpfctl_complete)'
