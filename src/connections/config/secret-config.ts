/** `secrets`: DuckDB's secrets (S3, HTTP, PostgreSQL …), whose parameters may be credentials. */
import { editDistance, MillraceError } from '../../errors.ts'
import { CredentialReference, isCredentialForm, readCredential } from './credential-reference.ts'
import { fromJson, isData, readBoolean, readMapping, readText, wrongType, wrongValue, type Data } from './read-value.ts'
import type { ConnectionContext } from './resolve-path.ts'
import {
  BOOLEAN_PARAMETERS,
  MAPPING_PARAMETERS,
  REFUSED_PARAMETERS,
  SECRET_PARAMETERS,
  SECRET_TYPES,
} from './secret-names.ts'
import { isSecretName } from './secret-text.ts'

/** Numbers are kept as text, since DuckDB takes both. */
export type SecretValue =
  | string
  | boolean
  | CredentialReference
  | readonly SecretValue[]
  | { readonly [name: string]: SecretValue }

export interface SecretConfig {
  /** In lower case. Default `__default_<type>`, as DuckDB names it. */
  name: string
  /** In lower case, for example `s3`. */
  type: string
  /** In lower case. Default `config`: what is written here is all there is. */
  provider: string
  /** Prefixes of the URLs it is for, sorted; none: all. */
  scope: readonly string[]
  /** The type's own parameters, by name in lower case. */
  parameters: Readonly<Record<string, SecretValue>>
}

/**
 * A mapping of names, or a list without names, as SQLMesh has both.
 * @returns sorted by name; null when there is none. @throws MillraceError CONFIG
 */
export function parseSecrets(raw: unknown, key: string, context: ConnectionContext): readonly SecretConfig[] | null {
  const written = fromJson(raw)
  if (written === undefined || written === null) return null
  if (!Array.isArray(written) && !isData(written)) throw wrongType(key, 'a list or a mapping of secrets', raw)
  const secrets = Array.isArray(written)
    ? written.map((item: unknown, index) => parseSecret(item, { key: `${key}[${index}]`, name: null, context }))
    : Object.entries(written).map(([name, item]) => parseSecret(item, { key: `${key}.${name}`, name, context }))
  const names = new Set<string>()
  for (const { name } of secrets) {
    if (names.has(name)) {
      throw new MillraceError('CONFIG', `${key}: expected secrets of different names; '${name}' is there twice`, {
        hint: 'Give each a name: secrets: { first: { type: … }, second: { type: … } }.',
      })
    }
    names.add(name)
  }
  return secrets.length === 0 ? null : secrets.sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function canonicalSecret({ type, provider, scope, parameters }: SecretConfig): Record<string, unknown> {
  return { type, provider, scope, ...parameters }
}

interface SecretPlace {
  key: string
  /** Of a mapping; null in a list. */
  name: string | null
  context: ConnectionContext
}

function parseSecret(raw: unknown, { key, name, context }: SecretPlace): SecretConfig {
  const given: Data = Object.fromEntries(
    Object.entries(readMapping(raw, key)).map(([written, value]) => [written.trim().toLowerCase(), value]),
  )
  if (given['type'] === undefined) throw wrongValue(`${key}.type`, "a secret's type, for example s3", undefined)
  const type = readText(given['type'], `${key}.type`).trim().toLowerCase()
  refuseSlip(
    type,
    SECRET_TYPES,
    `${key}.type: expected one of ${SECRET_TYPES.join(', ')}, or the type of an extension; got '${type}'`,
  )
  const { type: _type, name: ownName, provider, scope, ...rest } = given
  const parameters = Object.entries(rest).map(([parameter, value]) => {
    const place = `${key}.${parameter}`
    if (REFUSED_PARAMETERS.has(parameter)) {
      throw new MillraceError('CONFIG', `${place}: secrets live in memory, one per name; '${parameter}' cannot be set`)
    }
    refuseSlip(parameter, SECRET_PARAMETERS, `${key}: a secret of type ${type} has no parameter '${parameter}'`)
    return [parameter, readParameter(value, { name: parameter, key: place, depth: 0, context })] as const
  })
  return {
    name: (name ?? (ownName === undefined ? `__default_${type}` : readText(ownName, `${key}.name`))).toLowerCase(),
    type,
    provider: provider === undefined ? 'config' : readText(provider, `${key}.provider`).trim().toLowerCase(),
    scope: readScope(scope, `${key}.scope`),
    parameters: Object.fromEntries(parameters),
  }
}

function refuseSlip(name: string, known: readonly string[], message: string): void {
  const meant = known.includes(name) ? undefined : known.find((one) => isSlip(name, one))
  if (meant !== undefined) throw new MillraceError('CONFIG', message, { hint: `Did you mean '${meant}'?` })
}

/** One character wrong, missing or too many, two swapped, or `_` forgotten. */
function isSlip(written: string, meant: string): boolean {
  return editDistance(written.replaceAll('_', ''), meant.replaceAll('_', ''), 2) < 2
}

function readScope(value: unknown, key: string): readonly string[] {
  const given: unknown[] = value === undefined ? [] : Array.isArray(value) ? value : [value]
  return [...new Set(given.map((item) => readText(item, key)))].sort()
}

/** Levels of lists and mappings in one parameter; DuckDB's have two. */
const MAX_DEPTH = 32

interface ParameterPlace {
  name: string
  key: string
  depth: number
  context: ConnectionContext
}

function readParameter(value: unknown, { name, key, depth, context }: ParameterPlace): SecretValue {
  if (BOOLEAN_PARAMETERS.has(name)) return readBoolean(value, key)
  if ((isCredentialForm(value) || (isSecretName(name) && isData(value))) && !MAPPING_PARAMETERS.has(name)) {
    return new CredentialReference(readCredential(value, key, context))
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') {
    return isSecretName(name) ? new CredentialReference(readCredential(String(value), key, context)) : String(value)
  }
  if (typeof value === 'boolean') return value
  if (depth === MAX_DEPTH) throw wrongValue(key, `at most ${MAX_DEPTH} levels`, value)
  if (Array.isArray(value)) {
    return value.map((item: unknown) => readParameter(item, { name, key: `${key}[]`, depth: depth + 1, context }))
  }
  if (!isPlain(value)) throw wrongValue(key, 'text, a number, a list, a mapping or a credential', value)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null && item !== undefined)
      .map(([inner, item]) => [
        inner,
        readParameter(item, { name: inner, key: `${key}.${inner}`, depth: depth + 1, context }),
      ]),
  )
}

function isPlain(value: unknown): value is Data {
  if (!isData(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}
