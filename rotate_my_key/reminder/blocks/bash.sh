# rotate-my-key's login reminder for bash: says one line a day when an access key is due. Made by `rotate-my-key
# reminder`, which writes it anew; change nothing here. Builtins only: no process is started unless something is due.
[ -n "${BASH_VERSION-}" ] || return 0
# Bash parses what follows a `return` only if it comes that far: first the one question of every login.
__rotate_my_key_reminder() { # whether there is nothing to do
    [[ $- == *i* && $- != *r* && ${ROTATE_MY_KEY_REMINDER-} != 0 && (-t 0 || -t 2) ]] || return 0
    \local dir config due cred # a word with a backslash is no alias
    cred=${AWS_SHARED_CREDENTIALS_FILE:-${HOME-}/.aws/credentials}
    @FOLDERS@
    [[ -f $dir/state && -O $dir/state ]] || return 0
    [[ $cred -nt $dir/state || ${AWS_CONFIG_FILE:-${HOME-}/.aws/config} -nt $dir/state ||
        $dir/../rotations -nt $dir/state || $config/config.ini -nt $dir/state || @SITE@ -nt $dir/state ||
        ! -x @TOOL@ || ${BASH_VERSINFO[0]} -lt 5 || -z ${EPOCHSECONDS-} || $EPOCHSECONDS == *[!0123456789]* ]] && return 1
    # Up to a NUL: bash would pass over any number of them.
    { IFS='' \builtin read -r -d '' -n 12 due <"$dir/state"; } 2>/dev/null || return 0
    [[ $due == *$'\n'* ]] || return 0
    due=${due%%$'\n'*}
    [[ -z $due || $due == *[!0123456789]* || ${#due} -gt 11 ]] || ((EPOCHSECONDS < 10#$due))
}
if __rotate_my_key_reminder; then
    \unset -f __rotate_my_key_reminder
    return 0
fi
__rotate_my_key_reminder() {
    [[ $- == *i* && $- != *r* && ${ROTATE_MY_KEY_REMINDER-} != 0 && (-t 0 || -t 2) ]] || return 0
    \local dir config tool python say now='' due='' asked='' gone='' stale='' cred
    cred=${AWS_SHARED_CREDENTIALS_FILE:-${HOME-}/.aws/credentials}
    tool=@TOOL@ python=@PYTHON@ say=@SAY@
    @FOLDERS@
    [[ -f $dir/state && -O $dir/state ]] || return 0
    [[ -x $tool || ! -s $dir/../keyring.json ]] || \builtin printf '%s\n' @GONE@ >&2

    # A clock without a process: bash 5, 4.2, or (macOS) the time of a file that is written now.
    if ((BASH_VERSINFO[0] >= 5)) && [[ -n ${EPOCHSECONDS-} && $EPOCHSECONDS != *[!0123456789]* ]]; then
        now=$EPOCHSECONDS
    elif ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402)); then
        \builtin printf -v now '%(%s)T' -1
    fi

    # Something that the state was made from has changed since: have it looked at, once a day.
    [[ $cred -nt $dir/state ]] && gone=1
    if [[ $gone || ${AWS_CONFIG_FILE:-${HOME-}/.aws/config} -nt $dir/state || $dir/../rotations -nt $dir/state ||
        $config/config.ini -nt $dir/state || @SITE@ -nt $dir/state ]]; then
        stale=1
    fi
    if [[ $stale && -x $tool && ! -L $dir/asked ]]; then
        if [[ -e $dir/asked ]]; then
            if [[ ! -f $dir/asked || ! -O $dir/asked ]]; then
                stale=''
            elif [[ -z $now ]]; then
                [[ $cred -nt $dir/asked ]] || stale=''
            else
                { IFS='' \builtin read -r -d '' -n 12 asked <"$dir/asked"; } 2>/dev/null
                asked=${asked%%$'\n'*}
                if [[ -n $asked && $asked != *[!0123456789]* && ${#asked} -lt 12 ]] &&
                    ((10#$asked <= now && now - 10#$asked < 86400)); then
                    stale=''
                fi
            fi
        fi
        if [[ $stale ]] && { \builtin printf '%s\n' "$now" >|"$dir/asked"; } 2>/dev/null; then
            (
                \builtin trap '' HUP # a window that is closed at once does not end it
                "$tool" -q status </dev/null >/dev/null 2>&1 &
            )
        fi
    fi
    [[ -z $gone ]] || return 0

    if [[ $now ]]; then
        { IFS='' \builtin read -r -d '' -n 12 due <"$dir/state"; } 2>/dev/null || return 0
        [[ $due == *$'\n'* ]] || return 0
        due=${due%%$'\n'*}
        [[ -n $due && $due != *[!0123456789]* && ${#due} -lt 12 ]] || return 0
        ((now >= 10#$due)) || return 0
    else
        [[ -f $dir/due && -O $dir/due && ! -L $dir/now && (! -e $dir/now || -f $dir/now) ]] || return 0
        { \builtin printf '\n' >|"$dir/now"; } 2>/dev/null || return 0
        [[ $dir/now -nt $dir/due ]] || return 0
    fi

    # The line comes on the tool's stdout, so that a message about a tool that cannot be run goes nowhere.
    if [[ -x $python && -r $say ]]; then
        "$python" -I -S "$say" "$dir"
    elif [[ -x $tool ]]; then
        "$tool" reminder say
    fi </dev/null >&2 2>/dev/null || return 0
}
__rotate_my_key_reminder || :
\unset -f __rotate_my_key_reminder
