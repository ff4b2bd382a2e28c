/** What a deployment passes along with the work as Temporal headers, for the sources of credentials. Not logged, and in no heartbeat. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure, defaultPayloadConverter, type Headers } from '@temporalio/common'
import type { AuthContext } from '../connections/credentials/auth-context.ts'

type Values = NonNullable<AuthContext['values']>

/** As long as the activity runs. */
const VALUES = new WeakMap<Context, Values>()

/**
 * For an activity that is about to run: what the headers of these names say is what `authValues` returns in it. One that is absent
 * is left out; what is no text is given as JSON.
 * @throws ApplicationFailure of type USAGE
 */
export function keepAuthValues(context: Context, headers: Headers, names: readonly string[]): void {
  VALUES.set(context, readValues(headers, names))
}

/** Undefined outside an activity, and where the deployment passes nothing. */
export function authValues(): Values | undefined {
  try {
    return VALUES.get(Context.current())
  } catch {
    return undefined
  }
}

function readValues(headers: Headers, names: readonly string[]): Values {
  const read = names.flatMap((name) => {
    const payload = headers[name]
    return payload === undefined ? [] : [[name, toText(name, payload)] as const]
  })
  return Object.fromEntries(read)
}

function toText(name: string, payload: Headers[string]): string {
  let value: unknown
  try {
    value = defaultPayloadConverter.fromPayload(payload)
  } catch {
    // Its own message may repeat the value.
    const message = `header '${name}': expected a payload of Temporal's default converter`
    throw ApplicationFailure.nonRetryable(message, 'USAGE')
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}
