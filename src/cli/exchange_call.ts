// The exchange itself, for every command that makes one: find the job's own token, authenticate, ask the broker. Says
// nothing to anybody; what comes of it is the caller's.
import type { CommandIo } from './command.ts'
import type { ExchangePlan } from './exchange_plan.ts'
import { createHttpCaller } from './http_call.ts'
import type { JobToken, JobTokenProblem } from './job_token/source.ts'
import { obtainJobToken } from './job_token/sources.ts'
import { readInput, readSecret, readSecretInput } from './secret_input.ts'
import { readTokenAnswer, toHttpRequest } from './token_request.ts'
import type { ClientCredential, IssuedToken, TokenRefusal } from './token_request.ts'

const PROGRAM_TIMEOUT_MS = 20_000
const PROGRAM_OUTPUT_BYTES = 64 * 1024
const MAX_CA_BYTES = 1024 * 1024

export type ExchangeOutcome =
  | { readonly kind: 'issued'; readonly issued: IssuedToken }
  | { readonly kind: 'refused'; readonly refusal: TokenRefusal; readonly job: JobToken }
  | { readonly kind: 'no_job_token'; readonly problem: JobTokenProblem }

/** One exchange. Throws HttpFailure when there was no answer, InputFailure for a file that cannot be read. */
export async function callExchange(
  plan: Omit<ExchangePlan, 'outputs'>,
  io: CommandIo,
): Promise<ExchangeOutcome> {
  const caPem = plan.caFile === undefined ? undefined : await readInput(plan.caFile, io, MAX_CA_BYTES)
  const client = await completeCredential(plan, io)
  const http = createHttpCaller({ ...pick(io), caPem })
  const job = await obtainJobToken(plan.jobToken, io.env, plan.jobAudience, {
    http,
    run: runProgram,
    readFile: (file) => readSecretInput(file, io),
  })
  if (!job.ok) return { kind: 'no_job_token', problem: job.denial }
  const request = toHttpRequest({ ...plan.request, client, subjectToken: job.value.token })
  const answer = readTokenAnswer(await http(request))
  return answer.ok
    ? { kind: 'issued', issued: answer.issued }
    : { kind: 'refused', refusal: answer.refusal, job: job.value }
}

/** Not `...io`: that would open the standard streams. */
function pick({ env, randomBytes, sleep }: CommandIo): Pick<CommandIo, 'env' | 'randomBytes' | 'sleep'> {
  return { env, randomBytes, sleep }
}

async function completeCredential(
  plan: Pick<ExchangePlan, 'clientId' | 'clientAuth' | 'clientSecretFile'>,
  io: CommandIo,
): Promise<ClientCredential> {
  const { clientId } = plan
  if (plan.clientAuth !== 'basic') return { kind: plan.clientAuth, clientId }
  const file = plan.clientSecretFile
  const secret = file === undefined ? (io.env['SALLYPORT_CLIENT_SECRET'] ?? '') : await readSecret(file, io)
  return { kind: 'basic', clientId, secret }
}

/** Runs without a shell; what the program prints on stderr belongs to the user and holds no token. */
async function runProgram(program: string, args: readonly string[]): Promise<string> {
  // Two platforms of eight have such a program.
  const [{ execFile }, { promisify }] = await Promise.all([import('node:child_process'), import('node:util')])
  const { stdout } = await promisify(execFile)(program, [...args], {
    timeout: PROGRAM_TIMEOUT_MS,
    maxBuffer: PROGRAM_OUTPUT_BYTES,
    encoding: 'utf8',
  })
  return stdout
}
