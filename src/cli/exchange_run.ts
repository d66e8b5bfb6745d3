// What `sallyport exchange` does, in order: read the flags, find the job's own token, ask the broker, put the answer
// where it was wanted.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { ExchangeOptions } from './exchange.ts'
import { planExchange } from './exchange_plan.ts'
import type { ExchangePlan } from './exchange_plan.ts'
import { createHttpCaller, HttpFailure } from './http_call.ts'
import { parseObject } from './job_token/source.ts'
import { obtainJobToken } from './job_token/sources.ts'
import { InputFailure, readInput, readSecret } from './secret_input.ts'
import { writeToken } from './token_output.ts'
import { readTokenAnswer, toHttpRequest } from './token_request.ts'
import type { ClientCredential, TokenRefusal } from './token_request.ts'

const PROGRAM_TIMEOUT_MS = 20_000
const PROGRAM_OUTPUT_BYTES = 64 * 1024
const MAX_CA_BYTES = 1024 * 1024

/** Exit codes: ok, denied (by the broker, or no token to be had), usage. */
export async function runExchange(options: ExchangeOptions, io: CommandIo): Promise<ExitCode> {
  const plan = planExchange(options, io.env)
  if (!plan.ok) {
    io.stderr.write(plan.denial.map((problem) => `error: ${problem}\n`).join(''))
    io.stderr.write('(see sallyport exchange --help)\n')
    return EXIT.usage
  }
  try {
    return await carryOut(plan.value, io)
  } catch (error) {
    if (!(error instanceof HttpFailure || error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: failed: ${error.message}\n`)
    return EXIT.denied
  }
}

async function carryOut(plan: ExchangePlan, io: CommandIo): Promise<ExitCode> {
  const caPem = plan.caFile === undefined ? undefined : await readInput(plan.caFile, io, MAX_CA_BYTES)
  const client = await completeCredential(plan, io)
  const http = createHttpCaller({ ...io, caPem })
  const job = await obtainJobToken(plan.jobToken, io.env, plan.jobAudience, {
    http,
    run: runProgram,
    readFile: (file) => readInput(file, io),
  })
  if (!job.ok) {
    io.stderr.write(`sallyport: no job token: ${job.denial.message}\n  -> ${job.denial.wayOut}\n`)
    return EXIT.denied
  }
  const request = toHttpRequest({ ...plan.request, client, subjectToken: job.value.token })
  const answer = readTokenAnswer(await http(request))
  if (!answer.ok) {
    io.stderr.write(explainRefusal(answer.refusal, job.value.token, job.value.source))
    return EXIT.denied
  }
  await writeToken(answer.issued, plan.outputs, io)
  return EXIT.ok
}

async function completeCredential(plan: ExchangePlan, io: CommandIo): Promise<ClientCredential> {
  const { clientId } = plan
  if (plan.clientAuth !== 'basic') return { kind: plan.clientAuth, clientId }
  const file = plan.clientSecretFile
  const secret = file === undefined ? (io.env['SALLYPORT_CLIENT_SECRET'] ?? '') : await readSecret(file, io)
  return { kind: 'basic', clientId, secret }
}

/** Runs without a shell; what the program prints on stderr belongs to the user and holds no token. */
async function runProgram(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [...args], {
    timeout: PROGRAM_TIMEOUT_MS,
    maxBuffer: PROGRAM_OUTPUT_BYTES,
    encoding: 'utf8',
  })
  return stdout
}

/** The broker says little on purpose; what the caller may see anyway is which token it presented. */
function explainRefusal(refusal: TokenRefusal, token: string, source: string): string {
  const description = refusal.description === undefined ? '' : `: ${refusal.description}`
  return [
    `sallyport: denied: ${refusal.error}${description}`,
    refusal.requestId === undefined ? undefined : `  request id: ${refusal.requestId}`,
    `  presented: token of ${source}${outline(token)}`,
    '  The reason stands in the audit log of the broker. Ask its operator for this request id, or for',
    '  sallyport explain --token FILE',
    '',
  ]
    .filter((line) => line !== undefined)
    .join('\n')
}

function outline(token: string): string {
  const claims = parseObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  if (claims === undefined) return ', which is not a JWT'
  return `, iss ${JSON.stringify(claims['iss'])}, aud ${JSON.stringify(claims['aud'])}`
}
