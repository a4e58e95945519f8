# rotate-my-key's login reminder for PowerShell: says one line a day when an access key is due. Made by `rotate-my-key
# reminder`, which writes it anew; change nothing here. No process is started unless something is due.
& {
    Set-StrictMode -Off
    $ErrorActionPreference = 'SilentlyContinue'
    try {
        if ($env:ROTATE_MY_KEY_REMINDER -eq '0' -or -not [Environment]::UserInteractive) { return }
        if ([Environment]::GetCommandLineArgs() -match '^[-/](NonI|c$|Command|f$|File|e$|en?c)') { return }
        $tool = @TOOL@; $python = @PYTHON@; $say = @SAY@
        @FOLDERS@
        $state = [IO.FileInfo]::new([IO.Path]::Combine($dir, 'state'))
        if (-not $state.Exists -or $state.Length -gt 1048576 -or $state.Length -lt 2) { return }
        $index = [IO.Path]::Combine($dir, '..', 'keyring.json')
        if ([IO.File]::Exists($index) -and -not [IO.File]::Exists($tool)) { [Console]::Error.WriteLine(@GONE@) }
        $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()

        # Something that the state was made from has changed since: have it looked at, once a day.
        $cred = $env:AWS_SHARED_CREDENTIALS_FILE
        if (-not $cred) { $cred = [IO.Path]::Combine($HOME, '.aws', 'credentials') }
        $conf = $env:AWS_CONFIG_FILE
        if (-not $conf) { $conf = [IO.Path]::Combine($HOME, '.aws', 'config') }
        $made = $state.LastWriteTimeUtc
        $gone = [IO.File]::GetLastWriteTimeUtc($cred) -gt $made
        $stale = $gone
        foreach ($file in $conf, [IO.Path]::Combine($config, 'config.ini'), @SITE@) {
            if ([IO.File]::GetLastWriteTimeUtc($file) -gt $made) { $stale = $true }
        }
        if ([IO.Directory]::GetLastWriteTimeUtc([IO.Path]::Combine($dir, '..', 'rotations')) -gt $made) { $stale = $true }
        $asked = [IO.Path]::Combine($dir, 'asked')
        if ($stale -and [IO.File]::Exists($tool)) {
            $ago = ([DateTime]::UtcNow - [IO.File]::GetLastWriteTimeUtc($asked)).TotalSeconds
            if ($ago -lt 0 -or $ago -ge 86400) {
                [IO.File]::WriteAllText($asked, "$now`n")
                $start = [Diagnostics.ProcessStartInfo]::new($tool, '-q status')
                $start.UseShellExecute = $false
                $start.CreateNoWindow = $true
                $start.RedirectStandardInput = $true
                $start.RedirectStandardOutput = $true
                $start.RedirectStandardError = $true
                [void][Diagnostics.Process]::Start($start)
            }
        }
        if ($gone) { return }

        $reader = [IO.StreamReader]::new($state.FullName)
        try { $buffer = [char[]]::new(12); $count = $reader.Read($buffer, 0, 12) } finally { $reader.Dispose() }
        $first = [string]::new($buffer, 0, $count)
        if ($first -cnotmatch '\A([0-9]{1,11})\r?\n' -or $now -lt [long]$Matches[1]) { return }
        if ([IO.File]::Exists($python) -and [IO.File]::Exists($say)) { $text = & $python -I -S $say $dir 2>$null }
        elseif ([IO.File]::Exists($tool)) { $text = & $tool reminder say 2>$null }
        else { return }
        if ($text) { [Console]::Error.WriteLine(($text -join ' ')) }
    } catch { }
}
