# rotate-my-key's login reminder for zsh: says one line a day when an access key is due. Made by `rotate-my-key
# reminder`, which writes it anew; change nothing here. Builtins only: no process is started unless something is due.
() {
    \builtin emulate -LR zsh -o no_aliases -o no_bg_nice
    [[ -o interactive && ! -o restricted && ${ROTATE_MY_KEY_REMINDER-} != 0 ]] || return 0
    \builtin local dir config now='' due='' asked='' cred=${AWS_SHARED_CREDENTIALS_FILE:-${HOME-}/.aws/credentials}
    \builtin local tool=@TOOL@ fd=''
    @FOLDERS@
    [[ -f $dir/state && -O $dir/state ]] || return 0
    [[ -x $tool || ! -s $dir/../keyring.json ]] || \builtin print -r -u 2 -- @GONE@
    now=${(%):-%D{%s}}

    # Something that the state was made from has changed since: have it looked at, once a day.
    \builtin local gone='' stale=''
    [[ $cred -nt $dir/state ]] && gone=1
    if [[ -n $gone || ${AWS_CONFIG_FILE:-${HOME-}/.aws/config} -nt $dir/state || $dir/../rotations -nt $dir/state ||
        $config/config.ini -nt $dir/state || @SITE@ -nt $dir/state ]]; then
        stale=1
    fi
    if [[ -n $stale && -x $tool && ! -L $dir/asked ]]; then
        if [[ -e $dir/asked ]]; then
            if [[ ! -f $dir/asked || ! -O $dir/asked ]]; then
                stale=''
            else
                { \builtin read -r -u 0 -k 12 asked <$dir/asked } 2>/dev/null
                asked=${asked%%$'\n'*}
                if [[ $asked == <-> && ${#asked} -lt 12 ]] && (( asked <= now && now - asked < 86400 )); then
                    stale=''
                fi
            fi
        fi
        if [[ -n $stale ]] && { \builtin print -r -- $now >|$dir/asked } 2>/dev/null; then
            ( \builtin trap '' HUP; $tool -q status </dev/null >/dev/null 2>&1 & )
        fi
    fi
    [[ -z $gone ]] || return 0

    { \builtin read -r -u 0 -k 12 due <$dir/state } 2>/dev/null || return 0
    [[ $due == *$'\n'* ]] || return 0
    due=${due%%$'\n'*}
    [[ $due == <-> ]] && (( now >= due )) || return 0

    # Prompt themes that draw before zsh has started complain about anything printed until then: so it is said when the
    # line editor first waits for a key, through a descriptor that is ready at once; without an editor, at the prompt.
    __rotate_my_key_say() {
        \builtin emulate -LR zsh -o no_aliases
        \builtin local tool=@TOOL@ python=@PYTHON@ say=@SAY@ dir=$__rotate_my_key_dir
        \builtin unset __rotate_my_key_dir
        \builtin unfunction __rotate_my_key_say
        if [[ -x $python && -r $say ]]; then
            $python -I -S $say $dir
        elif [[ -x $tool ]]; then
            $tool reminder say
        fi </dev/null >&2 2>/dev/null
        return 0
    }
    \builtin typeset -g __rotate_my_key_dir=$dir
    if [[ -o zle ]]; then
        __rotate_my_key_ready() {
            \builtin emulate -LR zsh -o no_aliases
            \builtin local fd=$1
            \builtin zle -F $fd
            \builtin exec {fd}<&-
            \builtin unfunction __rotate_my_key_ready
            \builtin zle -I
            __rotate_my_key_say
        }
        { \builtin exec {fd}<$dir/state } 2>/dev/null && \builtin zle -F $fd __rotate_my_key_ready
    else
        __rotate_my_key_ready() {
            \builtin emulate -LR zsh -o no_aliases
            precmd_functions=(${precmd_functions:#__rotate_my_key_ready})
            \builtin unfunction __rotate_my_key_ready
            [[ ! -t 0 && ! -t 2 ]] || __rotate_my_key_say
        }
        \builtin typeset -ga precmd_functions
        precmd_functions+=(__rotate_my_key_ready)
    fi
    return 0
} || \builtin :
