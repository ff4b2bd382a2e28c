/** Whether the credentials that a connection refers to can be found. Their values are looked at, never told. */
import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { isCredentialForm } from '../../connections/config/credential-reference.ts'
import { parseCredential, type Credential } from '../../connections/credentials/credential.ts'
import { MillraceError } from '../../errors.ts'
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

interface Visit {
  context: CredentialContext
  found: FoundCredentials
}

/** Keys whose plain text is a secret. */
const SECRET_KEY = /(?:^|_)(?:token|password|passwd|secret|key|key_id|private_key|connection_string)$/i

function visit(value: unknown, path: readonly string[], visiting: Visit): void {
  if (isCredentialForm(value)) {
    checkWritten(value, path, visiting)
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key], visiting)
  } else if (typeof value === 'string' && SECRET_KEY.test(path.at(-1) ?? '')) {
    addPlain(value, path, visiting)
  }
}

function checkWritten(raw: unknown, path: readonly string[], visiting: Visit): void {
  const { context, found } = visiting
  const name = `credential ${path.join('.')}`
  try {
    check(parseCredential(raw, { root: context.root, name: path.join('.') }), path, visiting)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    found.checks.push(fail(name, error.message, error.hint))
  }
}

function check(credential: Credential, path: readonly string[], visiting: Visit): void {
  const { context, found } = visiting
  const { kind } = credential
  if (kind === 'oauth2') return check(credential.clientSecret, [...path, 'client_secret'], visiting)
  if (kind === 'motherduck') return check(credential.adminToken, [...path, 'admin_token'], visiting)
  if (kind === 'literal') return addPlain(credential.secret, path, visiting)
  if (kind === 'env') found.secrets.push(context.env[credential.variable] ?? '')
  const { message, hint } = look(credential, context)
  const name = `credential ${path.join('.')}`
  found.checks.push(hint === null ? ok(name, message) : fail(name, message, hint))
}

function addPlain(secret: string, path: readonly string[], { found }: Visit): void {
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

interface Finding {
  message: string
  /** Null when it can be used. */
  hint: string | null
}

type Simple = Exclude<Credential, { kind: 'oauth2' | 'motherduck' | 'literal' }>

function look(credential: Simple, { env }: CredentialContext): Finding {
  switch (credential.kind) {
    case 'env':
      return lookForVariable(credential.variable, env)
    case 'file':
      return lookForFile(credential.path)
    case 'command':
      return lookForProgram(credential.argv[0], env)
    case 'function':
      return { message: 'is given by a function', hint: null }
  }
}

function lookForVariable(variable: string, env: CredentialContext['env']): Finding {
  const value = env[variable] ?? ''
  if (value !== '') return { message: `environment variable ${variable} is set`, hint: null }
  return { message: `environment variable ${variable} is not set`, hint: `Set ${variable}, or put it into .env.` }
}

function lookForFile(path: string): Finding {
  try {
    accessSync(path, constants.R_OK)
    if (statSync(path).isFile()) return { message: `file ${path} can be read`, hint: null }
    return { message: `${path} is no file`, hint: 'Name the file that holds the credential.' }
  } catch {
    return { message: `file ${path} is missing or cannot be read`, hint: 'Create it, readable by this user only.' }
  }
}

/** The command is not run: it may ask somebody, or log in. */
function lookForProgram(program: string, env: CredentialContext['env']): Finding {
  const path = isAbsolute(program) ? program : findProgram(program, env)
  if (path !== null && isAbsolute(path) && isExecutable(path)) {
    return { message: `command ${path} is there`, hint: null }
  }
  return { message: `command '${program}' is not on this machine`, hint: 'Install it, or write its whole path.' }
}
