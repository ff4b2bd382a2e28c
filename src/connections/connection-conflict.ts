/** One database, asked for with two configurations. */
import { MillraceError } from '../errors.ts'
import type { ConnectionConfig } from './config.ts'
import type { Canonical } from './config/flatten.ts'
import { canonicalConfig } from './connection-key.ts'

/** Differences that a message shows. */
const SHOWN = 12
/** Longest text of one value. */
const SHOWN_LENGTH = 160

/** Shows each differing setting: as it is in use, and as it was asked for. */
export function connectionConflict(database: string, inUse: ConnectionConfig, asked: ConnectionConfig): MillraceError {
  const [before, after] = [canonicalConfig(inUse), canonicalConfig(asked)]
  const differing = differences(before, after).map(
    (name) => `${name} is ${shown(before, name)} in use and ${shown(after, name)} here`,
  )
  // Their keys are one, and yet they are not the same: what keys leave out.
  if (differing.length === 0) differing.push('a secret in it is another one here')
  const more = differing.length > SHOWN ? [`and ${differing.length - SHOWN} more`] : []
  return new MillraceError(
    'CONNECTION_CONFLICT',
    `${database} is in use with another configuration: ${[...differing.slice(0, SHOWN), ...more].join('; ')}`,
    { hint: 'One process opens a database once: give every gateway that names it the same settings.' },
  )
}

/** A file that two databases of one process would open, as their own or attached. */
export function fileConflict(file: string, inUse: string, asked: string): MillraceError {
  const one = inUse === file ? `${file} is in use` : `${file} is in use, attached to ${inUse}`
  const other = asked === file ? 'by itself' : `as a catalog of ${asked}`
  return new MillraceError('CONNECTION_CONFLICT', `${one}; it was asked for ${other}, too`, {
    hint: 'One process opens a file once: name all of them in one gateway, one as its database and the others under catalogs.',
  })
}

/** A file whose credentials depend on who asks, in use for somebody else. */
export function tenantConflict(file: string): MillraceError {
  return new MillraceError(
    'CONNECTION_CONFLICT',
    `${file} is in use with credentials for other values of the deployment's headers`,
    {
      hint: 'One process opens a file once: let tenants use it one after another, or give each a worker and a file of its own.',
    },
  )
}

/** A catalog or a secret that only one of them has is one difference, not one for each of its keys. */
function differences(before: Canonical, after: Canonical): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  const differing = names.filter((name) => before[name] !== after[name])
  return [...new Set(differing.map((name) => wholeOf(name, before, after)))]
}

function wholeOf(name: string, before: Canonical, after: Canonical): string {
  const whole = /^(?:catalogs|secrets)\.(?:"(?:[^"\\]|\\.)*"|[^.[]+)(?=[.[])/.exec(name)?.[0]
  const isIn = (canonical: Canonical) => Object.keys(canonical).some((one) => within(one, whole ?? name))
  return whole === undefined || (isIn(before) && isIn(after)) ? name : whole
}

function shown(canonical: Canonical, name: string): string {
  const own = canonical[name]
  if (own !== undefined) return shortened(own)
  const parts = Object.entries(canonical).filter(([one]) => within(one, name))
  if (parts.length === 0) return 'not set'
  return shortened(`{ ${parts.map(([one, text]) => `${one.slice(name.length + 1)}: ${text}`).join(', ')} }`)
}

function within(name: string, whole: string): boolean {
  return name.startsWith(`${whole}.`) || name.startsWith(`${whole}[`)
}

function shortened(text: string): string {
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text
}
