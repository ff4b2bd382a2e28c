/** Whether the credentials that a connection refers to can be found. Their values are looked at, never told. */
import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { resolvePath } from '../../connections/config/resolve-path.ts'
import { findProgram, isExecutable } from '../../temporal/find-program.ts'
import { fail, ok, warn, type Check } from './check.ts'

export interface CredentialContext {
  /** The project's folder. */
  root: string
  env: Readonly<Record<string, string | undefined>>
}

export interface FoundCredentials {
  checks: Check[]
  /** Values that must not be printed. */
  secrets: string[]
}

/** @param connection as in config.yaml. @param name of its gateway, for the checks' names. */
export function checkCredentials(connection: unknown, name: string, context: CredentialContext): FoundCredentials {
  const found: FoundCredentials = { checks: [], secrets: [] }
  visit(connection, [name], { context, found })
  return found
}

type Data = Record<string, unknown>

interface Visit {
  context: CredentialContext
  found: FoundCredentials
}

/** A credential in one of its forms → what is wrong with it, null when nothing is. */
const FORMS: Readonly<Record<string, (value: unknown, context: CredentialContext) => Finding>> = {
  env: checkEnvironment,
  file: checkFile,
  command: checkCommand,
}
/** Credentials that are made of others. */
const NESTED: ReadonlySet<string> = new Set(['oauth2', 'motherduck'])
/** Keys whose plain text is a secret. */
const SECRET_KEY = /(?:^|_)(?:token|password|passwd|secret|key|key_id|private_key|connection_string)$/i

interface Finding {
  message: string
  /** Null when it can be used. */
  hint: string | null
}

function visit(value: unknown, path: readonly string[], { context, found }: Visit): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => visit(item, [...path, String(index)], { context, found }))
    return
  }
  if (!isData(value)) {
    if (typeof value === 'string' && SECRET_KEY.test(path.at(-1) ?? '')) addPlain(value, path, found)
    return
  }
  const [form, ...others] = Object.keys(value)
  const check = form === undefined || others.length > 0 ? undefined : FORMS[form]
  if (form === undefined || check === undefined) {
    for (const [key, inner] of Object.entries(value)) {
      visit(inner, NESTED.has(key) ? path : [...path, key], { context, found })
    }
    return
  }
  const { message, hint } = check(value[form], context)
  const name = `credential ${path.join('.')}`
  found.checks.push(hint === null ? ok(name, message) : fail(name, message, hint))
  const secret = form === 'env' ? context.env[String(value[form])] : undefined
  if (secret !== undefined) found.secrets.push(secret)
}

function addPlain(secret: string, path: readonly string[], found: FoundCredentials): void {
  found.secrets.push(secret)
  const message = 'stands in the configuration as plain text'
  found.checks.push(
    warn(
      `credential ${path.join('.')}`,
      message,
      "Write { env: NAME }, { file: PATH } or {{ env_var('NAME') }} instead.",
    ),
  )
}

function checkEnvironment(name: unknown, { env }: CredentialContext): Finding {
  const variable = String(name)
  const value = env[variable] ?? ''
  if (value !== '') return { message: `environment variable ${variable} is set`, hint: null }
  return { message: `environment variable ${variable} is not set`, hint: `Set ${variable}, or put it into .env.` }
}

function checkFile(path: unknown, { root }: CredentialContext): Finding {
  const absolute = resolvePath(String(path), { root, env: {} })
  try {
    accessSync(absolute, constants.R_OK)
    if (statSync(absolute).isFile()) return { message: `file ${absolute} can be read`, hint: null }
    return { message: `${absolute} is no file`, hint: 'Name the file that holds the credential.' }
  } catch {
    return { message: `file ${absolute} is missing or cannot be read`, hint: 'Create it, readable by this user only.' }
  }
}

/** The command is not run: it may ask somebody, or log in. */
function checkCommand(argv: unknown, { root, env }: CredentialContext): Finding {
  const program = Array.isArray(argv) ? String(argv[0] ?? '') : ''
  if (program === '')
    return { message: 'command is no list of words', hint: 'Write { command: [PROGRAM, ARGUMENT, …] }.' }
  const path = /[/\\]/.test(program) ? resolve(root, program) : findProgram(program, env)
  if (path !== null && isAbsolute(path) && isExecutable(path))
    return { message: `command ${path} is there`, hint: null }
  return { message: `command '${program}' is not on this machine`, hint: 'Install it, or write its whole path.' }
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null
}
