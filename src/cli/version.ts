import { readFileSync } from 'node:fs'

/** The version of this package, from its package.json. */
export function versionText(): string {
  const path = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
