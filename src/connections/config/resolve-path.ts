/** Paths of a configuration: relative to the project, wherever the process was started. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { canonicalPath } from '../canonical-path.ts'

export interface ConnectionContext {
  /** The project's folder. */
  root: string
  env: Readonly<Record<string, string | undefined>>
}

/** Absolute; `~` is the home folder. */
export function resolvePath(path: string, { root, env }: ConnectionContext): string {
  if (path === '~' || /^~[/\\]/.test(path)) return join(env['HOME'] ?? homedir(), path.slice(1))
  return resolve(root, path)
}

/** Whether it is read over the network: `s3://bucket/lake`. */
export function isRemote(location: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(location)
}

/** A file, or a URL as it is. */
export function resolveFile(location: string, context: ConnectionContext): string {
  return isRemote(location) ? location : resolvePath(location, context)
}

/** One spelling of what `resolveFile` and `resolveFolder` give. */
export function canonicalLocation(location: string): string {
  return isRemote(location) ? location : canonicalPath(location)
}

/** A folder or a URL, without the slash at its end. */
export function resolveFolder(location: string, context: ConnectionContext): string {
  return isRemote(location) ? location.replace(/(?<!\/)\/+$/, '') : resolvePath(location, context)
}
