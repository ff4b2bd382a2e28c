/** The gateways of config.yaml: named or a single one, each with a connection, one of them the default. */
import { MillraceError, nearest, type SourceLocation } from '../errors.ts'
import type { VariableValue } from '../sql/macros.ts'
import { GATEWAY_KEYS, type ConfigShape } from './config-schema.ts'
import { isData, type ConfigData, type ConfigSource } from './config-source.ts'
import type { DataPath } from './yaml-file.ts'

export interface GatewayConfig {
  /** As written, but for credentials: `env_var('X')` is `{ env: 'X' }`. Has a `type`; the rest is checked by who connects. */
  connection: Record<string, unknown>
  /** The gateway's own, by lower-case name; they win over the project's. */
  variables: Record<string, VariableValue>
  /** As written; they win over the project's. */
  modelDefaults: Record<string, unknown>
}

export type Locate = (path: DataPath) => SourceLocation

export const EXAMPLE_GATEWAYS = 'gateways: { local: { connection: { type: duckdb, database: warehouse.duckdb } } }'

/** Gateways by lower-case name, and the path in the source that each is from. */
export function normalizeGateways(
  source: ConfigSource,
  problems: MillraceError[],
): { gateways: unknown; origins: Map<string, DataPath> } {
  const origins = new Map<string, DataPath>()
  const { gateways, gateway } = source.data
  const key = gateways === undefined || gateways === null ? 'gateway' : 'gateways'
  if (key === 'gateways' && gateway !== undefined) {
    const place = source.locate(['gateway']).location
    problems.push(
      new MillraceError('CONFIG', "expected either 'gateways' or 'gateway', got both", {
        ...place,
        hint: 'keep gateways',
      }),
    )
  }
  const given = gateways ?? gateway ?? undefined
  if (!isData(given)) return { gateways: given, origins }
  const names = Object.keys(given)
  if (names.length > 0 && names.every((name) => GATEWAY_KEYS.has(name))) {
    return { gateways: { default: given }, origins: origins.set('default', [key]) }
  }
  const named: ConfigData = {}
  for (const [name, value] of Object.entries(given)) {
    const folded = name.toLowerCase()
    const path = [key, name]
    const first = origins.get(folded)
    if (first !== undefined) {
      const message = `expected gateways of different names; '${name}' is '${String(first.at(-1))}' again: case does not matter`
      problems.push(new MillraceError('CONFIG', message, source.locate(path).location))
    }
    origins.set(folded, path)
    named[folded] = value ?? {}
  }
  return { gateways: named, origins }
}

/** Gateways with their connections; what is missing is added to `problems`. */
export function connectGateways(
  data: ConfigShape,
  locate: Locate,
  problems: MillraceError[],
): Record<string, GatewayConfig> {
  const named = Object.entries(data.gateways)
  const gateways =
    named.length === 0 && data.default_connection !== undefined ? [['default', EMPTY_GATEWAY] as const] : named
  return Object.fromEntries(
    gateways.map(([name, { connection = data.default_connection, variables, model_defaults }]) => {
      const path = ['gateways', name, 'connection']
      if (connection === undefined) {
        problems.push(
          new MillraceError('CONFIG', `expected gateway '${name}' to have a connection`, {
            ...locate(path),
            hint: EXAMPLE_GATEWAYS,
          }),
        )
      } else if (typeof connection['type'] !== 'string' || connection['type'] === '') {
        const message = `expected the connection of gateway '${name}' to have a type`
        problems.push(
          new MillraceError('CONFIG', message, {
            ...locate([...path, 'type']),
            hint: 'for a DuckDB file: type: duckdb',
          }),
        )
      }
      return [name, { connection: connection ?? {}, variables: lowerKeys(variables), modelDefaults: model_defaults }]
    }),
  )
}

const EMPTY_GATEWAY: ConfigShape['gateways'][string] = { variables: {}, model_defaults: {} }

interface ChoiceContext {
  locate: Locate
  problems: MillraceError[]
  file: string
}

/** `default_gateway`, else the first. */
export function chooseDefault(
  data: ConfigShape,
  names: readonly string[],
  { locate, problems, file }: ChoiceContext,
): string {
  const [first = ''] = names
  if (names.length === 0) {
    problems.push(
      new MillraceError('CONFIG', 'expected at least one gateway, got none', {
        file,
        line: 1,
        hint: `for example ${EXAMPLE_GATEWAYS}`,
      }),
    )
    return first
  }
  const wanted = data.default_gateway
  if (wanted === undefined || wanted === '') return first
  if (names.includes(wanted.toLowerCase())) return wanted.toLowerCase()
  const suggestion = nearest(wanted, names)
  problems.push(
    new MillraceError('CONFIG', `expected default_gateway to be one of ${names.join(', ')}, got '${wanted}'`, {
      ...locate(['default_gateway']),
      ...(suggestion === null ? {} : { hint: `Did you mean '${suggestion}'?` }),
    }),
  )
  return first
}

/** By lower-case name. */
export function lowerKeys<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name.toLowerCase(), value]))
}

/** @param wanted in any case; null for the default. @throws MillraceError CONFIG */
export function chooseGateway(
  { gateways, defaultGateway }: { gateways: Readonly<Record<string, GatewayConfig>>; defaultGateway: string },
  wanted: string | null,
): string {
  const name = (wanted ?? defaultGateway).toLowerCase()
  if (gateways[name] !== undefined) return name
  const known = Object.keys(gateways)
  const near = nearest(name, known)
  throw new MillraceError('CONFIG', `expected one of the gateways ${known.join(', ')}; got '${wanted ?? name}'`, {
    hint: near === null ? 'add it to gateways in config.yaml, or choose one with --gateway' : `Did you mean '${near}'?`,
  })
}
