/** Which Temporal server a command talks to. */
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig'
import { MillraceError } from '../errors.ts'
import { type EmbeddedServer, startEmbeddedServer } from './embedded-server.ts'
import { isPortOpen, probeServer, type TemporalConnectionOptions } from './probe-server.ts'
import { findProjectServer } from './project-server.ts'

export interface FindServerOptions {
  /** `--address`: `HOST:PORT`, or a host on port 7233. */
  address?: string | null
  /** `--namespace`. Default: that of the environment or profile, else `default`. */
  namespace?: string | null
  /** Where an embedded server is looked for and started; null: nowhere. */
  projectRoot: string | null
  /** TEMPORAL_… variables, and where the Temporal config file lies. */
  env: NodeJS.ProcessEnv
  /** One line of text for the user, whenever something takes long. */
  onProgress: (line: string) => void
  /** See `EmbeddedServerOptions`. */
  onStarting?: () => void
  /** Whether an embedded server may be started when no other answers. */
  mayStart: boolean
  /** Connects to a server that was named, and keeps the connection if it wants; default: just to see whether it answers. */
  probe?: (options: TemporalConnectionOptions, limitMs: number) => Promise<void>
  signal?: AbortSignal | undefined
}

export interface FoundServer {
  /** gRPC, `host:port`. */
  address: string
  namespace: string
  /** Null where Millrace does not know it. */
  uiUrl: string | null
  /** What named it: `--address`, environment or profile, this project's live server, the usual port, or nobody. */
  kind: 'address' | 'environment' | 'project' | 'local' | 'embedded'
  /** For `Connection.connect` and `NativeConnection.connect`; may hold credentials, so never to be logged. */
  connectionOptions: TemporalConnectionOptions
  /** The server this call has started; its caller stops it. */
  embedded: EmbeddedServer | null
}

/**
 * The first that answers of: `--address`; TEMPORAL_ADDRESS or a Temporal config profile; the project's live embedded
 * server; 127.0.0.1:7233; a new embedded server, if `mayStart`.
 * Throws `TEMPORAL_UNAVAILABLE` when none does, and when a server was named and does not answer (a named server is
 * never replaced by another one); `CONFIG` when the Temporal config file cannot be read.
 */
export async function findTemporalServer(options: FindServerOptions): Promise<FoundServer> {
  const profile = loadProfile(options.env)
  const address = options.address ?? null
  const named = address ?? profile.connectionOptions.address ?? ''
  if (named !== '') return findNamed(options, profile, { kind: address === null ? 'environment' : 'address', named })
  return (await findUnnamed(options, profile)) ?? (await startOne(options))
}

const NAMED_LIMIT_MS = 5_000
const LOCAL_LIMIT_MS = 2_000
const LOCAL_PORT_LIMIT_MS = 500
const LOCAL_ADDRESS = '127.0.0.1:7233'
const LOCAL_UI_URL = 'http://127.0.0.1:8233'

function loadProfile(env: NodeJS.ProcessEnv): ClientConnectConfig {
  const set = Object.entries(env).filter((entry): entry is [string, string] => (entry[1] ?? '') !== '')
  try {
    return loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(set) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MillraceError('CONFIG', `The Temporal client configuration cannot be used: ${reason}`, {
      hint: 'Check TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the TEMPORAL_TLS_… variables',
      cause: error,
    })
  }
}

async function findNamed(
  options: FindServerOptions,
  profile: ClientConnectConfig,
  { kind, named }: { kind: 'address' | 'environment'; named: string },
): Promise<FoundServer> {
  const { tls, apiKey, metadata } = profile.connectionOptions
  const connectionOptions: TemporalConnectionOptions = {
    address: withPort(named),
    // As the Temporal CLI does it, `--address` replaces the address alone: credentials of the environment still count.
    ...(tls === undefined ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata }),
  }
  try {
    await (options.probe ?? probeServer)(connectionOptions, NAMED_LIMIT_MS)
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const origin = kind === 'address' ? '--address' : 'TEMPORAL_ADDRESS or a Temporal config profile'
    throw new MillraceError(
      'TEMPORAL_UNAVAILABLE',
      `The Temporal server ${connectionOptions.address} (from ${origin}) did not answer within ${NAMED_LIMIT_MS / 1000} s: ${reasonOf(error)}`,
      {
        hint: `Check that it runs, its host and port, and whether it wants TLS or an API key; without ${origin} Millrace finds or starts a local server`,
      },
    )
  }
  const namespace = options.namespace ?? profile.namespace ?? 'default'
  return { address: connectionOptions.address, namespace, uiUrl: null, kind, connectionOptions, embedded: null }
}

async function findUnnamed(options: FindServerOptions, profile: ClientConnectConfig): Promise<FoundServer | null> {
  const running = options.projectRoot === null ? null : await findProjectServer(options.projectRoot)
  if (running !== null) {
    const { address, uiUrl } = running
    const namespace = options.namespace ?? 'default'
    return { address, namespace, uiUrl, kind: 'project', connectionOptions: { address }, embedded: null }
  }
  // A closed port is known at once; only a listener there is asked whether it is a Temporal server.
  if (!(await isPortOpen(LOCAL_ADDRESS, LOCAL_PORT_LIMIT_MS))) return null
  const connectionOptions = { address: LOCAL_ADDRESS }
  try {
    await probeServer(connectionOptions, LOCAL_LIMIT_MS)
  } catch {
    return null
  }
  const namespace = options.namespace ?? profile.namespace ?? 'default'
  const uiUrl = (await isPortOpen(LOCAL_UI_URL.slice('http://'.length), LOCAL_PORT_LIMIT_MS)) ? LOCAL_UI_URL : null
  return { address: LOCAL_ADDRESS, namespace, uiUrl, kind: 'local', connectionOptions, embedded: null }
}

async function startOne(options: FindServerOptions): Promise<FoundServer> {
  const { projectRoot, onProgress, onStarting, signal, env } = options
  if (!options.mayStart || projectRoot === null) {
    const place = projectRoot === null ? '' : `, this project's own (${projectRoot})`
    throw new MillraceError(
      'TEMPORAL_UNAVAILABLE',
      `No Temporal server found. Tried: TEMPORAL_ADDRESS and the Temporal config profile (not set)${place}, ${LOCAL_ADDRESS}`,
      { hint: 'Name one with --address HOST:PORT, or start one: `temporal server start-dev`' },
    )
  }
  const namespace = options.namespace ?? 'default'
  const server = await startEmbeddedServer({ projectRoot, namespace, onProgress, onStarting, signal, env })
  const { address, uiUrl } = server
  const kind = server.owned ? 'embedded' : 'project'
  return { address, namespace, uiUrl, kind, connectionOptions: { address }, embedded: server.owned ? server : null }
}

function withPort(address: string): string {
  return /:\d+$/.test(address) ? address : `${address}:7233`
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return error instanceof Error ? `${error.message}${cause}` : String(error)
}
