/** A project's folder → its configuration: config.yaml, `.env`, ~/.sqlmesh, `SQLMESH__…` variables and millrace.yaml. */
import { existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { MillraceError, ProjectError, type SourceLocation } from '../errors.ts'
import type { VariableValue } from '../sql/macros.ts'
import { configSchema, isIgnoredPath, toProblems, withoutIgnored, type ConfigShape } from './config-schema.ts'
import {
  describe,
  isData,
  mergeSources,
  readConfigSource,
  readEnvironmentSource,
  type ConfigSource,
} from './config-source.ts'
import { parseDotenv } from './dotenv.ts'
import {
  chooseDefault,
  connectGateways,
  EXAMPLE_GATEWAYS,
  lowerKeys,
  normalizeGateways,
  type GatewayConfig,
  type Locate,
} from './gateways.ts'
import { parseMillraceSettings, type MillraceSettings } from './millrace-settings.ts'
import { readText } from './read-file.ts'
import type { Environment } from './render-config.ts'
import type { DataPath } from './yaml-file.ts'

export interface ProjectConfig {
  /** `project:`, else the folder's name. */
  project: string
  /** By lower-case name; a single gateway without a name is `default`. */
  gateways: Record<string, GatewayConfig>
  /** `default_gateway`, else the first. */
  defaultGateway: string
  /** `model_defaults` as written; `dialect` is always `duckdb`. */
  modelDefaults: Record<string, unknown>
  /** By lower-case name. */
  variables: Record<string, VariableValue>
  /** Default false. */
  inferNames: boolean
  /** In strftime's spelling. Default `%Y-%m-%d`. */
  timeColumnFormat: string
  ignorePatterns: string[]
  beforeAll: string[]
  afterAll: string[]
  millrace: MillraceSettings
  /** The environment with `.env` and the personal `env_vars` laid over it; credentials are looked up here. */
  env: Environment
  /** What the user should know, one sentence each. */
  notices: string[]
  /** The files that were read, as messages name them. */
  files: string[]
  /** Where a value of the configuration is from, e.g. `['model_defaults', 'cron']`. */
  locate: (path: DataPath) => SourceLocation
}

const CONFIG_FILES = ['config.yaml', 'config.yml', 'sqlmesh.yaml', 'sqlmesh.yml']
const MILLRACE_FILES = ['millrace.yaml', 'millrace.yml']

/**
 * @param root the project's folder
 * @param env the process's environment; it is not changed
 * @throws MillraceError or ProjectError: CONFIG, DIALECT for model_defaults in another dialect, PYTHON for a config.py, FILE
 */
export async function loadConfig(root: string, env: NodeJS.ProcessEnv): Promise<ProjectConfig> {
  const file = findConfigFile(root)
  const notices: string[] = []
  const files = [file]
  const withDotenv = await overlayDotenv(root, env, { notices, files })
  const personal = await readPersonal(withDotenv, files)
  const effective: Environment = { ...withDotenv, ...stringValues(personal?.data['env_vars']) }
  const source = mergeSources(
    [
      readConfigSource(await readText(root, file), { file, env: effective, isIgnored: isIgnoredPath }),
      personal,
      readEnvironmentSource(effective),
    ].filter((found) => found !== null),
  )
  const millraceFile = findOne(root, MILLRACE_FILES)
  if (millraceFile !== null) files.push(millraceFile)
  const config = interpret(source, { root, file, notices })
  const millrace =
    millraceFile === null
      ? { steps: [], freshness: [] }
      : parseMillraceSettings(
          readConfigSource(await readText(root, millraceFile), { file: millraceFile, env: effective }),
        )
  return { ...config, millrace, env: effective, notices, files }
}

function findConfigFile(root: string): string {
  const file = findOne(root, [...CONFIG_FILES, 'config.py'])
  if (file === 'config.py') {
    throw new MillraceError('PYTHON', "expected config.yaml; 'config.py' is Python, which Millrace does not run", {
      file,
      line: 1,
      hint: `write its settings into config.yaml, e.g. ${EXAMPLE_GATEWAYS}`,
    })
  }
  if (file !== null) return file
  throw new MillraceError('CONFIG', `expected one of ${CONFIG_FILES.join(', ')} in ${resolve(root)}; there is none`, {
    hint: `go to the project's folder, start one with 'init', or write a config.yaml: ${EXAMPLE_GATEWAYS}`,
  })
}

function findOne(root: string, names: readonly string[]): string | null {
  const found = names.filter((name) => existsSync(join(root, name)))
  const [first = null, second] = found
  if (second === undefined) return first
  throw new MillraceError('CONFIG', `expected one file of ${names.join(', ')}; ${found.join(' and ')} are there`, {
    file: second,
    line: 1,
    hint: 'keep one of them',
  })
}

interface Findings {
  notices: string[]
  files: string[]
}

async function overlayDotenv(root: string, env: Environment, { notices, files }: Findings): Promise<Environment> {
  // A folder of that name is somebody's virtual environment.
  if (statSync(join(root, '.env'), { throwIfNoEntry: false })?.isFile() !== true) return env
  const { values, badLines } = parseDotenv(await readText(root, '.env'), env)
  files.push('.env')
  if (badLines.length > 0) notices.push(`.env: expected NAME=value; passed over line ${badLines.join(', ')}`)
  return { ...env, ...values }
}

async function readPersonal(env: Environment, files: string[]): Promise<ConfigSource | null> {
  const folder = env['SQLMESH_HOME'] ?? join(env['HOME'] ?? homedir(), '.sqlmesh')
  const name = findOne(folder, CONFIG_FILES)
  if (name === null) return null
  const file = env['SQLMESH_HOME'] === undefined ? `~/.sqlmesh/${name}` : join(folder, name)
  files.push(file)
  return readConfigSource(await readText(folder, name), { file, env, isIgnored: isIgnoredPath })
}

function stringValues(given: unknown): Record<string, string> {
  if (!isData(given)) return {}
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]))
}

type Interpreted = Omit<ProjectConfig, 'millrace' | 'env' | 'notices' | 'files'>

function interpret(source: ConfigSource, context: { root: string; file: string; notices: string[] }): Interpreted {
  const { root, file, notices } = context
  const problems: MillraceError[] = []
  const { gateways, origins } = normalizeGateways(source, problems)
  const { gateway: _, ...rest } = source.data
  const ignored: string[] = []
  const value = withoutIgnored(gateways === undefined ? rest : { ...rest, gateways }, ignored)
  if (ignored.length > 0)
    notices.push(`${file}: SQLMesh's settings without meaning here are passed over: ${ignored.join(', ')}`)
  const locate = (path: DataPath): SourceLocation => {
    const origin = path[0] === 'gateways' ? origins.get(String(path[1])) : undefined
    return source.locate(origin === undefined ? path : [...origin, ...path.slice(2)]).location
  }
  const parsed = configSchema.safeParse(value)
  if (!parsed.success)
    throw new ProjectError([...problems, ...toProblems(parsed.error.issues, { schema: configSchema, value, locate })])
  const { data } = parsed
  const connected = connectGateways(data, locate, problems)
  const defaultGateway = chooseDefault(data, Object.keys(connected), { locate, problems, file })
  assertDuckdb(data, locate, problems)
  if (problems.length > 0) throw new ProjectError(problems)
  return {
    project: data.project ?? basename(resolve(root)),
    gateways: connected,
    defaultGateway,
    modelDefaults: { ...data.model_defaults, dialect: 'duckdb' },
    variables: lowerKeys(data.variables),
    inferNames: data.model_naming.infer_names,
    timeColumnFormat: data.time_column_format,
    ignorePatterns: data.ignore_patterns,
    beforeAll: data.before_all,
    afterAll: data.after_all,
    locate,
  }
}

function assertDuckdb(data: ConfigShape, locate: Locate, problems: MillraceError[]): void {
  const all: [DataPath, Record<string, unknown>][] = [
    [['model_defaults'], data.model_defaults],
    ...Object.entries(data.gateways).map(([name, { model_defaults }]): [DataPath, Record<string, unknown>] => [
      ['gateways', name, 'model_defaults'],
      model_defaults,
    ]),
  ]
  for (const [path, { dialect }] of all) {
    if (dialect === undefined || dialect === null) continue
    if (typeof dialect === 'string' && /^\s*(?:duckdb\s*(?:,.*)?)?$/i.test(dialect)) continue
    problems.push(
      new MillraceError('DIALECT', `expected models in the dialect duckdb, got ${describe(dialect)}`, {
        ...locate([...path, 'dialect']),
        hint: "write the models in DuckDB's SQL and set dialect: duckdb",
      }),
    )
  }
}
