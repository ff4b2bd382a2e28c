/** `doctor`: looks at everything a build needs, for real, and says what to do. Changes nothing without `--fix`, tells no secret. */
import { withoutSecrets } from '../../connections/config/secret-text.ts'
import { loadConfig, type ProjectConfig } from '../../project/config.ts'
import { failed, ok, type Check } from '../doctor/check.ts'
import { checkCredentials } from '../doctor/credentials.ts'
import { checkDatabase, checkExtensions } from '../doctor/database.ts'
import { checkTemporal } from '../doctor/temporal.ts'
import { checkThreads, checkVersions } from '../doctor/versions.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { loadForVerb } from '../load-for-verb.ts'
import { openGateway } from '../open-gateway.ts'

export const doctorVerb: Verb = {
  async run(context) {
    const { checks, secrets } = await runChecks(context)
    const shown = checks.map((check) => cleanCheck(check, secrets))
    context.output.answer(shown.map(toLine).join('\n'), { checks: shown })
    return shown.some(({ status }) => status === 'fail') ? EXIT.failed : EXIT.done
  },
}

interface Findings {
  checks: Check[]
  secrets: string[]
}

async function runChecks(context: CommandContext): Promise<Findings> {
  const checks = [...(await checkVersions()), checkThreads(context.env['UV_THREADPOOL_SIZE'])]
  const secrets: string[] = []
  const config = await checkConfig(context, checks)
  if (config !== null) {
    checks.push(await checkProject(context))
    await checkGateways(context, config, { checks, secrets })
  }
  checks.push(...(await checkTemporal(context)))
  return { checks, secrets }
}

async function checkConfig({ root, env }: CommandContext, checks: Check[]): Promise<ProjectConfig | null> {
  try {
    const config = await loadConfig(root, env)
    checks.push(ok('config', `project '${config.project}', read from ${config.files.join(', ')}`))
    return config
  } catch (error) {
    checks.push(failed('config', error, 'Correct the configuration; `init` makes an example.'))
    return null
  }
}

async function checkProject(context: CommandContext): Promise<Check> {
  try {
    await using loaded = await loadForVerb(context)
    const { models, audits } = loaded.project
    const disabled = models.filter((model) => !model.enabled).length
    const more = disabled === 0 ? '' : ` (disabled: ${disabled})`
    return ok('project', `models: ${models.length}${more}, audits of its own: ${audits.size}`)
  } catch (error) {
    return failed('project', error, 'Correct the files; `models` lists all problems.')
  }
}

/** The one that a build would use, and, unless it was named, all others: what is wrong with those stops no build. */
async function checkGateways(context: CommandContext, config: ProjectConfig, found: Findings): Promise<void> {
  const { root, options } = context
  try {
    const { name } = openGateway(config, root, options.gateway)
    found.checks.push(...(await checkGateway(context, config, name, found.secrets)))
    if (options.gateway !== null) return
    for (const other of Object.keys(config.gateways).filter((one) => one !== name)) {
      const checks = await checkGateway(context, config, other, found.secrets)
      found.checks.push(...checks.map((check) => ofOther(check, other)))
    }
  } catch (error) {
    found.checks.push(failed('connection', error, CONNECTION_HINT))
  }
}

const CONNECTION_HINT = "Correct the gateway's connection in config.yaml."

async function checkGateway(
  { root }: CommandContext,
  config: ProjectConfig,
  name: string,
  secrets: string[],
): Promise<Check[]> {
  try {
    const { connection } = openGateway(config, root, name)
    const raw = config.gateways[name]?.connection
    const credentials = checkCredentials(raw, name, { root, env: config.env })
    secrets.push(...credentials.secrets)
    return [
      ...(credentials.checks.length === 0 ? [ok('credentials', 'none needed')] : credentials.checks),
      await checkExtensions(connection),
      ...(await checkDatabase(connection)),
    ]
  } catch (error) {
    return [failed('connection', error, CONNECTION_HINT)]
  }
}

/** Named after the gateway, as checks of credentials are by themselves. */
function ofOther(check: Check, gateway: string): Check {
  const name = check.name.startsWith('credential ') ? check.name : `${check.name} ${gateway}`
  return { ...check, name, status: check.status === 'fail' ? 'warn' : check.status }
}

/** Shorter texts are words, not secrets. */
const SHORTEST_SECRET = 4

/** Belt and braces: no check tells one, but a message of a database or a driver might. */
function cleanCheck(check: Check, secrets: readonly string[]): Check {
  const clean = (text: string): string =>
    secrets
      .filter((secret) => secret.length >= SHORTEST_SECRET)
      .reduce((shown, secret) => shown.replaceAll(secret, '…'), withoutSecrets(text.replaceAll(/\s*\n\s*/g, ' ')))
  return { ...check, message: clean(check.message), hint: check.hint === null ? null : clean(check.hint) }
}

function toLine({ status, name, message, hint }: Check): string {
  return `${status.padEnd(4)} ${name}: ${message}${hint === null ? '' : ` → ${hint}`}`
}
