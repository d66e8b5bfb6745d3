// Who takes away or weakens what the webhook stands on, and who may.
import type { Test } from 'tap'
import { webhookConfiguration } from '../../../src/core/module/generate/webhook_configuration.ts'
import type { Ask, KubeAsker, Told } from '../../support/kube_asker.ts'
import type { KubeCluster } from '../../support/kube_cluster.ts'
import { mustPrint as must } from '../../support/kube_modules.ts'
import { KEEPER, MERGE, untilTold, WRITER } from './asking.ts'

/** Many at once have no name in the request, and each is judged all the same. */
export async function unguard(t: Test, asker: KubeAsker, cluster: KubeCluster): Promise<void> {
  const configuration = webhookConfiguration({
    name: 'sallyport-webhook',
    target: { namespace: 'sallyport-system', service: 'sallyport-webhook', port: 443 },
    caPem: undefined,
    certManager: undefined,
    // Nobody answers here.
    failurePolicy: 'Ignore',
    timeoutSeconds: 1,
    ledgerWriters: [WRITER],
  })
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'sallyport-webhook', namespace: 'sallyport-system' },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'sallyport-webhook-tls', namespace: 'sallyport-system' },
    stringData: { 'tls.crt': 'x' },
  }
  const items = [configuration, service, secret]
  await must(cluster, ['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  const own = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  const inNamespace = '/api/v1/namespaces/sallyport-system'
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const editor = { user: 'bob', groups: ['editors'] }
  const breaker = { user: 'carol', groups: ['editors', 'breakers'] }
  const remove = (path: string, as: Ask['as']): Promise<Told> =>
    asker.ask({ method: 'DELETE', path: `${path}?dryRun=All`, as })
  const edit = (path: string, body: unknown, as: Ask['as'], contentType = MERGE): Promise<Told> =>
    asker.ask({ method: 'PATCH', path: `${path}?dryRun=All`, body, contentType, as })
  const denied = { status: 403, message: 'WH-M15: ' }
  for (const path of [
    `${own}/sallyport-webhook`,
    own,
    `${definitions}/modules.opendepot.defdev.io`,
    '/api/v1/namespaces/sallyport-system',
    `${inNamespace}/services/sallyport-webhook`,
    `${inNamespace}/secrets/sallyport-webhook-tls`,
  ]) {
    const by = path === own ? { ...editor, groups: ['editors', 'system:masters'] } : editor
    t.match(await untilTold('WH-M15', () => remove(path, by)), denied, path)
  }
  const first = `${own}/sallyport-webhook`
  const weaker = [{ op: 'replace', path: '/webhooks/0/timeoutSeconds', value: 30 }]
  const bundle = [{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: btoa('') }]
  const JSON_PATCH = 'application/json-patch+json'
  t.match(await edit(first, weaker, editor, JSON_PATCH), denied)
  t.match(await edit(first, { metadata: { labels: { a: 'b' } } }, editor), { status: 200 })
  t.match(await edit(first, bundle, { user: KEEPER, groups: ['editors'] }, JSON_PATCH), { status: 200 })
  const why = { 'sallyport.dev/unguard': 'a longer timeout' }
  const explained = [...weaker, { op: 'add', path: '/metadata/annotations', value: why }]
  t.match(await edit(first, explained, editor, JSON_PATCH), denied, 'the annotation alone')
  t.match(await edit(first, weaker, breaker, JSON_PATCH), denied, 'the verb alone')
  t.match(await edit(first, explained, breaker, JSON_PATCH), { status: 200 })
  const unserved = [{ op: 'replace', path: '/spec/versions/0/served', value: false }]
  const modules = `${definitions}/modules.opendepot.defdev.io`
  const schema = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties'
  t.match(await edit(modules, unserved, editor, JSON_PATCH), denied)
  const withoutStatus = [{ op: 'remove', path: '/spec/versions/0/subresources' }]
  t.match(await edit(modules, withoutStatus, editor, JSON_PATCH), denied)
  const clientConfig = { url: 'https://127.0.0.1:1/convert' }
  const webhook = { clientConfig, conversionReviewVersions: ['v1'] }
  const conversion = { strategy: 'Webhook', webhook }
  const converted = [{ op: 'add', path: '/spec/conversion', value: conversion }]
  t.match(await edit(modules, converted, editor, JSON_PATCH), denied)
  t.match(
    await edit(
      modules,
      [{ op: 'remove', path: `${schema}/moduleConfig/properties/immutable` }],
      editor,
      JSON_PATCH,
    ),
    denied,
  )
  t.match(
    await edit(
      modules,
      [{ op: 'add', path: `${schema}/more`, value: { type: 'string' } }],
      editor,
      JSON_PATCH,
    ),
    { status: 200 },
  )
  const ledger = `${definitions}/publishedversions.sallyport.dev`
  const moved = `${schema}/moved`
  const unkeyed = [
    { op: 'remove', path: `${moved}/x-kubernetes-list-map-keys` },
    { op: 'remove', path: `${moved}/items/x-kubernetes-validations` },
    { op: 'replace', path: `${moved}/x-kubernetes-list-type`, value: 'atomic' },
  ]
  t.match(await edit(ledger, unkeyed, editor, JSON_PATCH), denied)
  const plain = [
    { op: 'remove', path: `${schema}/versions/x-kubernetes-list-map-keys` },
    { op: 'replace', path: `${schema}/versions/x-kubernetes-list-type`, value: 'atomic' },
  ]
  t.match(await edit(modules, plain, editor, JSON_PATCH), { status: 200 })
  const groups = `${definitions}/groupbindings.opendepot.defdev.io`
  t.match(await edit(groups, { metadata: { labels: { a: 'b' } } }, editor), { status: 200 })
  t.match(
    await edit(`${inNamespace}/services/sallyport-webhook`, { spec: { externalName: 'evil' } }, editor),
    denied,
  )
  t.match(
    await edit(`${inNamespace}/secrets/sallyport-webhook-tls`, { data: { 'tls.crt': 'eA==' } }, editor),
    {
      status: 200,
    },
    'the same data',
  )
  t.match(
    await edit(`${inNamespace}/secrets/sallyport-webhook-tls`, { data: { 'tls.crt': 'eQ==' } }, editor),
    denied,
  )
  t.match(
    await edit(
      `${inNamespace}/secrets/sallyport-webhook-tls`,
      { data: { 'tls.crt': 'eQ==' } },
      {
        user: WRITER,
        groups: ['editors'],
      },
    ),
    { status: 200 },
  )
}
