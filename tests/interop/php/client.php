<?php
// PHP's own SOAP extension. Usage: php client.php SCRIPT.json
$script = json_decode(file_get_contents($argv[1]), true);
$headers = "";
foreach ($script["headers"] as $name => $value) {
    $headers .= "$name: $value\r\n";
}
$client = new SoapClient($script["wsdl"], [
    "cache_wsdl" => WSDL_CACHE_NONE,
    "exceptions" => true,
    "features" => SOAP_SINGLE_ELEMENT_ARRAYS,
    "stream_context" => stream_context_create(["http" => ["header" => $headers]]),
]);

// A PHP array with numbers for keys is a list; the extension wants the items under the name of their element.
function named($value, $items, $key = "") {
    if (!is_array($value)) {
        return $value;
    }
    if (array_is_list($value)) {
        return [$items[$key] => array_map(fn($row) => named($row, $items), $value)];
    }
    $made = [];
    foreach ($value as $name => $inner) {
        $made[$name] = named($inner, $items, $name);
    }
    return $made;
}

$answers = [];
foreach ($script["calls"] as [$operation, $parameters]) {
    $parameters = ["accountID" => $script["account"]] + named($parameters, $script["items"]);
    $answers[$operation] = $client->__soapCall($operation, [$parameters]);
}
echo json_encode($answers, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
