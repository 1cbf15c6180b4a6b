// An OpenID provider for the tests: oidc-provider (certified) with people, groups, a web client with the device grant, a
// native client, and services. usage: node provider.mjs CONFIG.json
//
// CONFIG: {port, people: {name: {groups: [...]}}, redirects: [...], services: [{client_id, groups, jwks | secret}], ttl}.
// Every password is right. What a test can change while it runs, by POST:
//   /_rotate           signs with a new key; the old ones stay in the set        /_rotate?drop=1   and are taken out
//   /_ttl?s=N          how long tokens live                                      /_person?name=N&groups=a,b   groups of N
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'

const require = createRequire(process.env.WEB_PACKAGES + '/')
const { default: Provider } = await import(require.resolve('oidc-provider'))
const config = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const issuer = `http://127.0.0.1:${config.port}`
const audience = 'urn:tidegate'
const people = config.people
const services = config.services ?? []
let ttl = config.ttl ?? 3600

const newKey = () => ({
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    kid: randomUUID(),
    use: 'sig',
    alg: 'ES256',
})
let keys = [newKey()]

// Everything the provider remembers, across changes of its configuration.
const kept = new Map()
class Memory {
    constructor(kind) { this.kind = kind }
    name(id) { return `${this.kind} ${id}` }
    async upsert(id, payload) {
        const name = this.name(id)
        kept.set(name, payload)
        if (payload.uid) kept.set(`uid ${payload.uid}`, name)
        if (payload.userCode) kept.set(`code ${payload.userCode}`, name)
        if (payload.grantId) kept.set(`grant ${payload.grantId}`, [...(kept.get(`grant ${payload.grantId}`) ?? []), name])
    }
    async find(id) { return kept.get(this.name(id)) }
    async findByUid(uid) { return kept.get(kept.get(`uid ${uid}`)) }
    async findByUserCode(code) { return kept.get(kept.get(`code ${code}`)) }
    async consume(id) { kept.get(this.name(id)).consumed = Math.floor(Date.now() / 1000) }
    async destroy(id) { kept.delete(this.name(id)) }
    async revokeByGrantId(id) { for (const name of kept.get(`grant ${id}`) ?? []) kept.delete(name) }
}

const groupsOf = (name) => people[name]?.groups ?? services.find((one) => one.client_id === name)?.groups ?? []
const device = 'urn:ietf:params:oauth:grant-type:device_code'

function build() {
    const provider = new Provider(issuer, {
        adapter: Memory,
        jwks: { keys },
        clientDefaults: { id_token_signed_response_alg: 'ES256' },
        cookies: { keys: ['tests'] },
        scopes: ['openid', 'profile', 'email', 'groups', 'db'],
        claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'], groups: ['groups'] },
        conformIdTokenClaims: false,
        clients: [
            {
                client_id: 'tidegate', client_secret: 'the-secret-of-the-gateway', redirect_uris: config.redirects,
                grant_types: ['authorization_code', device],
            },
            {
                client_id: 'native', token_endpoint_auth_method: 'none', application_type: 'native', redirect_uris: ['http://127.0.0.1/'],
                grant_types: ['authorization_code', device],
            },
            ...services.map(({ client_id, jwks, secret }) => ({
                client_id, redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
                ...(jwks
                    ? { jwks, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: jwks.keys[0].alg }
                    : { client_secret: secret }),
            })),
        ],
        features: {
            clientCredentials: { enabled: true },
            devInteractions: { enabled: true },
            deviceFlow: { enabled: true },
            resourceIndicators: {
                enabled: true,
                defaultResource: (_, client) => (client.clientId === 'tidegate' ? undefined : audience),
                useGrantedResource: () => true,
                getResourceServerInfo: () => ({
                    audience, scope: 'openid profile email groups db', accessTokenFormat: 'jwt', accessTokenTTL: ttl,
                    jwt: { sign: { alg: 'ES256' } },
                }),
            },
        },
        ttl: { AccessToken: () => ttl, ClientCredentials: () => ttl, IdToken: () => ttl },
        pkce: { required: () => true },
        findAccount: (_, name) => people[name] && {
            accountId: name,
            claims: () => ({
                sub: name, name: people[name].name ?? name, preferred_username: name, email: `${name}@example.com`,
                groups: groupsOf(name),
            }),
        },
        extraTokenClaims: (_, token) => ({
            groups: groupsOf(token.accountId ?? token.clientId), preferred_username: token.accountId ?? token.clientId,
        }),
    })
    return provider.callback()
}

let answer = build()
http.createServer((request, response) => {
    const url = new URL(request.url, issuer)
    const change = request.method === 'POST' ? url.pathname : ''
    const value = (name) => url.searchParams.get(name)
    switch (change) {
        case '/_rotate': keys = value('drop') ? [newKey()] : [newKey(), ...keys]; break
        case '/_ttl': ttl = Number(value('s')); break
        case '/_person': people[value('name')] = { ...people[value('name')], groups: value('groups').split(',').filter(Boolean) }; break
        default: return answer(request, response)
    }
    answer = build()
    response.end('done\n')
}).listen(config.port, '127.0.0.1')
