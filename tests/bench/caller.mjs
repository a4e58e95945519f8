// A program on the JavaScript SDK v3 that calls AWS every 100 ms until it is stopped: see caller.py.
// `caller.mjs PROFILE [MILLISECONDS]`: the SDK asks again five minutes before an answer expires, by Date.now. That is ahead
// here by so much, so that it asks again seconds after each answer; requests are signed with the real time.
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromNodeProviderChain } from "@aws-sdk/credential-providers";

const [profile, ahead = "0"] = process.argv.slice(2);
const now = Date.now;
Date.now = () => now() + Number(ahead);
const credentials = fromNodeProviderChain({ profile });
const sts = new STSClient({ credentials, maxAttempts: 1, systemClockOffset: -Number(ahead) });
for (;;) {
    try {
        await sts.send(new GetCallerIdentityCommand({}));
        console.log("ok", (await credentials()).accessKeyId);
    } catch (error) {
        console.log("failed", error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
}
