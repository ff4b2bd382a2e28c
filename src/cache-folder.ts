/** Where Millrace keeps, per user, what is slow to make and safe to lose. */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** `$MILLRACE_CACHE_DIR`, else `millrace` in `$XDG_CACHE_HOME`, else in `~/.cache`. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  const own = env['MILLRACE_CACHE_DIR']
  if (own !== undefined && own !== '') return own
  const shared = env['XDG_CACHE_HOME']
  return join(shared !== undefined && isAbsolute(shared) ? shared : join(homedir(), '.cache'), 'millrace')
}
