<?php
// PHP's ext-soap as its manual uses it. Speaks the protocol of benchmarks/worker.py.
declare(strict_types=1);

const WSDL = __DIR__ . '/../../wsdl/OctopusService.wsdl';
const ACCOUNT = '11111111-2222-3333-4444-555555555555';
const WARM_UP = 3;
const OPTIONS = ['keep_alive' => true, 'cache_wsdl' => WSDL_CACHE_MEMORY, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS];

/** Answers every call with the same bytes, for decoding and encoding alone. */
final class Canned extends SoapClient
{
    public string $body = '';
    public int $sent = 0;

    public function __doRequest($request, $location, $action, $version, $oneWay = false): ?string
    {
        $this->sent = strlen($request);
        return $this->body;
    }
}

function skus(int $count): array
{
    return array_map(fn (int $number): string => sprintf('SKU-%06d', $number), range(0, $count - 1));
}

function expect(array $rows, int $count): void
{
    if (count($rows) !== $count) {
        throw new RuntimeException(count($rows) . " of $count");
    }
}

function decode(array $asked): Closure
{
    $client = new Canned(WSDL, OPTIONS);
    $client->body = file_get_contents("{$asked['files']}/{$asked['reply']}");
    return function () use ($client, $asked): void {
        $found = $client->GetItemList(['accountID' => ACCOUNT, 'skuList' => ['SKU-000000']]);
        expect($found->GetItemListResult->ResultData->InventoryItem, $asked['count']);
    };
}

function encode(array $asked): Closure
{
    $client = new Canned(WSDL, OPTIONS);
    $client->body = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        . '<UpdateItemQuantityAndPriceListResponse xmlns="http://tempuri.org/"/></s:Body></s:Envelope>';
    $rows = json_decode(file_get_contents("{$asked['files']}/{$asked['updates']}"), true);
    return function () use ($client, $rows): int {
        $list = ['ItemQuantityAndPrice' => $rows];
        $client->UpdateItemQuantityAndPriceList(['accountID' => ACCOUNT, 'itemQuantityAndPriceList' => $list]);
        return $client->sent;
    };
}

function call(array $asked): Closure
{
    $client = new SoapClient(WSDL, OPTIONS + ['location' => $asked['url']]);
    $list = ['accountID' => ACCOUNT, 'skuList' => ['string' => skus($asked['count'])]];
    return function () use ($client, $list, $asked): void {
        expect($client->GetItemList($list)->GetItemListResult->ResultData->InventoryItem, $asked['count']);
    };
}

function exist(array $asked): Closure
{
    $client = new SoapClient(WSDL, OPTIONS + ['location' => $asked['url']]);
    $list = ['accountID' => ACCOUNT, 'skuList' => ['string' => skus($asked['count'])]];
    return function () use ($client, $list, $asked): void {
        expect($client->IsSkuExistList($list)->IsSkuExistListResult->ResultData->IsSkuExistResponse, $asked['count']);
    };
}

function construct(array $asked): Closure
{
    return function (): void {
        new SoapClient(WSDL, OPTIONS);
    };
}

function cpu(): float
{
    $used = getrusage();
    return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1e3
        + ($used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec']) / 1e3;
}

function timed(Closure $work, int $runs): array
{
    [$ms, $spent, $bytes] = [[], [], null];
    for ($run = 0; $run < $runs; $run++) {
        $used = cpu();
        $started = hrtime(true);
        $size = $work();
        $ms[] = (hrtime(true) - $started) / 1e6;
        $spent[] = cpu() - $used;
        $bytes = is_int($size) ? $size : null;
    }
    return ['ms' => $ms, 'cpu' => $spent, 'bytes' => $bytes];
}

$ready = [];
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    $key = json_encode(['runs' => 0] + $asked);
    try {
        if (!in_array($asked['task'], ['decode', 'encode', 'call', 'exist', 'construct'], true)) {
            throw new RuntimeException('it runs one call at a time');
        }
        if (!isset($ready[$key])) {
            $ready[$key] = $asked['task']($asked);
            for ($run = 0; $run < ($asked['warm_up'] ?? WARM_UP); $run++) {
                $ready[$key]();
            }
        }
        $answer = timed($ready[$key], $asked['runs']);
    } catch (Throwable $error) {
        $answer = ['absent' => get_class($error) . ': ' . substr($error->getMessage(), 0, 160)];
    }
    fwrite(STDOUT, json_encode($answer) . "\n");
}
